/**
 * A daemon's log: a line for each thing that happened, on stderr, where systemd's journal or a pod's log takes it.
 *
 *     2026-11-25T09:02:07.146Z info lease obtained network=mynet container=3f6a… interface=eth0 address=10.5.0.51/24 seconds=120
 *
 * Words first, for people; then what it is about, for programs. A value with anything unusual in it is in JSON's quotes. As JSON a
 * line is an object: `time`, `level`, `message`, and the rest under its own names.
 */
import { oneLine } from "@vethwork/cni";

export const levels = ["debug", "info", "warning", "error"] as const;
export type Level = (typeof levels)[number];
export type Fields = Readonly<Record<string, string | number | undefined>>;
export type Log = (level: Level, words: string, fields?: Fields) => void;

export interface LogOptions {
  format?: "text" | "json";
  /** What is less than that is not written. */
  least?: Level;
}

export const logTo = (write: (line: string) => void, { format = "text", least = "info" }: LogOptions = {}): Log => (level, words, fields = {}) => {
  if (levels.indexOf(level) < levels.indexOf(least)) return;
  const time = new Date().toISOString();
  write(format === "json" ? `${JSON.stringify({ time, level, message: words, ...fields })}\n` : `${time} ${level} ${oneLine(words)}${pairsOf(fields)}\n`);
};

const pairsOf = (fields: Fields): string =>
  Object.entries(fields).flatMap(([key, value]) => (value === undefined ? [] : [` ${key}=${shown(String(value))}`])).join("");

const shown = (value: string): string => (/^[\w.:/@+-]+$/.test(value) ? value : JSON.stringify(value));
