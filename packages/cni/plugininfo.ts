/**
 * What a plugin answers to VERSION: the versions of the specification that it speaks.
 *
 * The verb is younger than the first plugins. One from the time of 0.1.0 does not know it and says so; one from 0.2.0 knows it and
 * may leave out the list.
 */
import { CniError, ErrorCode, messageOf, oneLine } from "./errors.ts";
import { find, isObject, kindOf, parseJson } from "./json.ts";

/** How a plugin of the time of 0.1.0 refuses VERSION. */
export const unknownVersionVerb = "unknown CNI_COMMAND: VERSION";

/** Reads the answer. Throws CniError 6. Specification: "VERSION: probe plugin version support". */
export function parseVersionInfo(stdout: string): string[] {
  const wrong = (what: string): CniError => new CniError(ErrorCode.DECODING_FAILURE, `decoding version info: ${what}`);
  let info: unknown;
  try {
    info = parseJson(stdout) ?? {};
  } catch (error) {
    throw wrong(oneLine(messageOf(error)));
  }
  if (!isObject(info)) throw wrong(`it is ${kindOf(info)} (an object is wanted)`);
  const version = find(info, "cniVersion") ?? "";
  const supported = find(info, "supportedVersions") ?? [];
  if (typeof version !== "string") throw wrong(`cniVersion is ${kindOf(version)} (a string is wanted)`);
  if (!Array.isArray(supported) || !supported.every((one: unknown) => typeof one === "string")) {
    throw wrong("supportedVersions is no list of strings");
  }
  if (version === "") throw wrong("missing field cniVersion");
  if (supported.length > 0) return supported;
  if (version === "0.2.0") return ["0.1.0", "0.2.0"];
  throw wrong("missing field supportedVersions");
}
