/**
 * Kernel parameters by their names, and which of them an administrator lets networks set.
 *
 *     net.ipv4.conf.IFNAME.arp_filter     IFNAME is the pod's interface
 *     net.ipv4.conf.eth0/100.arp_filter   as in sysctl(8): a dot that does not separate is a slash …
 *     net/ipv4/conf/eth0.100/arp_filter   … or it is all a path, if the first separator is one
 *
 * Everything under net/ belongs to the namespace of who writes it, everything else in /proc/sys to the whole machine:
 * therefore no name leads out of net/.
 */
import { CniError, ErrorCode, invalidOption, type Parser } from "@vethwork/cni";
import { findText } from "@vethwork/linux";

/** Where the administrator says what is allowed: a regular expression a line. Without the file everything is. */
const ALLOW_LIST = "/etc/cni/tuning/allowlist.conf";

/** Text for one parameter: one line, for the kernel reads no further. */
export const sysctlValue: Parser<string> = {
  describe: "a text of one line",
  schema: { type: "string" },
  parse(value, where) {
    if (typeof value === "string" && !/[\0\n\r]/.test(value)) return value;
    throw invalidOption(where, value, this.describe);
  },
};

/** The path of a parameter under /proc/sys. CniError 7 where it is none of net/'s. */
export function sysctlPath(key: string, ifname: string): string {
  const swapped: Readonly<Record<string, string>> = { ".": "/", "/": "." };
  const isPath = /[./]/.exec(key)?.[0] === "/";
  const path = (isPath ? key : key.replace(/[./]/g, (letter) => swapped[letter] ?? letter)).replace("IFNAME", () => ifname);
  const [root, ...rest] = path.split("/");
  const leads = root === "net" && rest.length > 0 && rest.every((part) => part !== "" && part !== "." && part !== ".." && !part.includes("\0"));
  if (leads) return path;
  throw new CniError(ErrorCode.INVALID_CONFIG, `invalid net sysctl key: ${JSON.stringify(key)} (a name such as net.ipv4.conf.IFNAME.arp_filter is wanted)`);
}

/** CniError 7 for a parameter that the administrator's list does not have, or a list that does not read. */
export function checkAllowed(keys: readonly string[]): void {
  if (keys.length === 0) return;
  const text = findText(ALLOW_LIST);
  if (text === undefined) return;
  const lines = text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  const patterns = lines.map(patternOf);
  const refused = keys.find((key) => !patterns.some((pattern) => pattern.test(key)));
  if (refused === undefined) return;
  throw new CniError(ErrorCode.INVALID_CONFIG, `Sysctl ${refused} is not allowed. Only the following sysctls are allowed: [${lines.join(" ")}]`);
}

/** What Go's regular expressions and ours read differently: rather refused than misread, since it is about permission. */
const NOT_SHARED = /\\[AzQEpPC]|\\x\{|\(\?(?!:)|\[\[:|\[\^?\]/;

function patternOf(line: string): RegExp {
  const wanted = `in ${ALLOW_LIST} (a plain regular expression is wanted)`;
  if (NOT_SHARED.test(line)) throw new CniError(ErrorCode.INVALID_CONFIG, `cannot read ${JSON.stringify(line)} ${wanted}`);
  try {
    return new RegExp(line);
  } catch (error) {
    throw new CniError(ErrorCode.INVALID_CONFIG, `cannot read ${JSON.stringify(line)} ${wanted}`, { cause: error });
  }
}
