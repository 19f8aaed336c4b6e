/**
 * The specification's versions: which there are, which is newer, which share a form of result.
 *
 * A network's configuration names one version, and everything said about that network (configurations in, results out) is in it.
 * Results have had three forms, here called by their age:
 *
 *     first   0.1.0 0.2.0         one IPv4 and one IPv6 address, each with its routes
 *     second  0.3.0 0.3.1 0.4.0   lists of interfaces, addresses, routes; each address says its family
 *     third   1.0.0 1.1.0         the same without the family; 1.1.0 knows more of interfaces and routes
 */
import { CniError, ErrorCode } from "./errors.ts";

/** Every version of the specification, oldest first. */
export const allVersions: readonly string[] = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

/** The newest version, which is also the form that results have in memory. */
export const currentVersion = "1.1.0";

/** A form of result: the versions that share it, newest last. */
export type Form = "first" | "second" | "third";

export const versionsOf: Readonly<Record<Form, readonly string[]>> = {
  first: ["0.1.0", "0.2.0"],
  second: ["0.3.0", "0.3.1", "0.4.0"],
  third: ["1.0.0", "1.1.0"],
};

/** The form of results in a version, undefined when the version is none of the specification's. "" counts as 0.1.0. */
export function formOf(version: string): Form | undefined {
  if (version === "" || versionsOf.first.includes(version)) return "first";
  if (versionsOf.second.includes(version)) return "second";
  return versionsOf.third.includes(version) ? "third" : undefined;
}

/**
 * The three numbers of a version. Missing ones are 0, and "" is 0.1.0: the key was optional at first.
 * Throws CniError 6 for anything else.
 */
export function parseVersion(version: string): [major: number, minor: number, micro: number] {
  if (version === "") return [0, 1, 0];
  const parts = version.split(".");
  if (parts.length > 3) throw new CniError(ErrorCode.DECODING_FAILURE, `invalid version ${JSON.stringify(version)}: too many parts`);
  const number = (at: number, what: string): number => {
    const part = parts[at] ?? "0";
    if (/^[+-]?\d{1,15}$/.test(part)) return Number(part);
    throw new CniError(ErrorCode.DECODING_FAILURE, `failed to convert ${what} version part ${JSON.stringify(part)}: not a number`);
  };
  return [number(0, "major"), number(1, "minor"), number(2, "micro")];
}

/** Below 0 when `a` is older than `b`, above 0 when it is newer. Throws CniError 6 for a version that does not parse. */
export function compareVersions(a: string, b: string): number {
  const left = parseVersion(a);
  const right = parseVersion(b);
  return left[0] - right[0] || left[1] - right[1] || left[2] - right[2];
}

/** Whether `version` is `wanted` or newer. Throws CniError 6 for a version that does not parse. */
export function atLeast(version: string, wanted: string): boolean {
  return compareVersions(version, wanted) >= 0;
}
