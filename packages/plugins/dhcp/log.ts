/**
 * The daemon's log: a line for each thing that happened to a lease, on stderr, where systemd's journal or a pod's log takes it.
 *
 *     2026-11-25T09:02:07.146Z info lease obtained network=mynet container=3f6a… interface=eth0 address=10.5.0.51/24 seconds=120
 *
 * Words first, for people; then what it is about, for programs. A value with anything unusual in it is in JSON's quotes.
 */

export type Level = "info" | "warning" | "error";
export type Fields = Readonly<Record<string, string | number | undefined>>;
export type Log = (level: Level, words: string, fields?: Fields) => void;

export const logTo = (write: (line: string) => void): Log => (level, words, fields = {}) => {
  const pairs = Object.entries(fields).flatMap(([key, value]) => (value === undefined ? [] : [` ${key}=${shown(String(value))}`]));
  write(`${new Date().toISOString()} ${level} ${words}${pairs.join("")}\n`);
};

const shown = (value: string): string => (/^[\w.:/@+-]+$/.test(value) ? value : JSON.stringify(value));
