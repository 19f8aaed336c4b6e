/**
 * Options and times as programs written in Go take them, for a command line that others' unit files and manifests hold.
 *
 *     -timeout 10s   -timeout=10s   --timeout 1m2s   -broadcast   -broadcast=false
 */
import { UsageError, readArguments, type OptionsConfig } from "./usage.ts";

/** Reads options of either spelling. UsageError names what is not understood. */
export function readGoArguments<const O extends OptionsConfig>(args: readonly string[], options: O) {
  const turned = args.flatMap((arg) => {
    const [, name = "", value] = /^--?([a-z][a-z-]*)(?:=(.*))?$/s.exec(arg) ?? [];
    if (name === "") return [arg];
    if (options[name]?.type !== "boolean" || value === undefined) return [value === undefined ? `--${name}` : `--${name}=${value}`];
    return truthOf(name, value) ? [`--${name}`] : [];
  });
  return readArguments(turned, options);
}

function truthOf(name: string, value: string): boolean {
  if (/^(?:1|t|true)$/i.test(value)) return true;
  if (/^(?:0|f|false)$/i.test(value)) return false;
  throw new UsageError(`--${name}=${value} is not understood (true or false is wanted)`);
}

const UNITS: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, "\u00b5s": 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const PART = /(\d+\.?\d*|\.\d+)(ns|us|\u00b5s|ms|s|m|h)/gy;

/** A time in milliseconds: "10s", "1m2s", "1.5h", "0". */
export function durationOf(name: string, text: string): number {
  const parts = [...text.matchAll(PART)];
  const whole = parts.map(([part]) => part).join("");
  if (text === "0" || (whole === text && text !== "")) return parts.reduce((sum, [, number, unit = ""]) => sum + Number(number) * (UNITS[unit] ?? 0), 0);
  throw new UsageError(`--${name} ${JSON.stringify(text)} is not understood (a time is wanted, such as 10s or 1m2s)`);
}
