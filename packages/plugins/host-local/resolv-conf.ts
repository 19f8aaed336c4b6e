/** Name servers from a file in the form of /etc/resolv.conf (resolv.conf(5)). */
import { CniError, ErrorCode, type Dns } from "@vethwork/cni";
import { findText } from "@vethwork/linux";

/** Reads the file; undefined where it says nothing. CniError 7 where there is none. */
export function dnsIn(path: string): Dns | undefined {
  const text = findText(path);
  if (text === undefined) throw new CniError(ErrorCode.INVALID_CONFIG, `invalid option "ipam.resolvConf": there is no file "${path}"`);
  return parseResolvConf(text);
}

/** Of `domain` the last line counts; the others add up. Lines of other words are not ours. */
export function parseResolvConf(text: string): Dns | undefined {
  const lines = text.split("\n").map((line) => line.trim()).filter((line) => !/^[#;]/.test(line)).map((line) => line.split(/\s+/));
  const after = (word: string): string[][] => lines.filter(([first]) => first === word).map(([, ...rest]) => rest);
  const nameservers = after("nameserver").flatMap(([address]) => address ?? []);
  const domain = after("domain").at(-1)?.[0];
  const search = after("search").flat();
  const options = after("options").flat();
  const dns: Dns = {
    ...(nameservers.length > 0 && { nameservers }), ...(domain && { domain }), ...(search.length > 0 && { search }), ...(options.length > 0 && { options }),
  };
  return Object.keys(dns).length > 0 ? dns : undefined;
}
