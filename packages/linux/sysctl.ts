/**
 * Kernel parameters under /proc/sys (sysctl(8)).
 *
 * Names are paths, "net/ipv4/ip_forward": an interface may have a dot in its name, so dots do not separate. What
 * stands under net/ belongs to the namespace of the thread that opens the file.
 */
import { unless } from "./errors.ts";
import { namesIn, put, readText } from "./files.ts";

export interface Sysctl {
  /** The value as the kernel prints it; undefined where this kernel has no such parameter, or one that is only written. */
  find(name: string): string | undefined;
  /** Writes the value if another stands there; true if it wrote. Fails where there is no such parameter. */
  set(name: string, value: number | string): boolean;
  /** As set; undefined where this kernel has no such parameter, as net/ipv6 on a kernel without IPv6. */
  setIfThere(name: string, value: number | string): boolean | undefined;
  /** Writes without a look at what stands there: of a device that was made a moment ago nobody has set anything. False where there is no such parameter. */
  write(name: string, value: number | string): boolean;
  /** The names in a folder, as the interfaces in net/ipv6/conf. */
  list(folder: string): string[];
}

const ROOT = "/proc/sys";
const ABSENT = ["ENOENT", "ENOTDIR"] as const;
const UNREADABLE = [...ABSENT, "EACCES"] as const; // EACCES: net/ipv4/route/flush and its like, that do something when written

export interface SysctlOptions {
  /** Where /proc/sys is: in a container its own may only be read. */
  root?: string | undefined;
  /** Nothing is written, and it is told as if it were. */
  isRehearsal?: boolean;
}

/** @param inside runs work in the namespace whose parameters are meant */
export function createSysctl(inside: <T>(work: () => T) => T, { root = ROOT, isRehearsal = false }: SysctlOptions = {}): Sysctl {
  const pathOf = (name: string): string => `${root}/${wellFormed(name)}`;
  const findHere = (name: string): string | undefined => {
    return unless(UNREADABLE, () => readText(pathOf(name)).trim());
  };
  const writeHere = (name: string, value: number | string): void => {
    if (!isRehearsal) put(pathOf(name), String(value), 0);
  };
  const find = (name: string): string | undefined => inside(() => findHere(name));
  const set = (name: string, value: number | string): boolean =>
    inside(() => {
      if (findHere(name) === String(value)) return false;
      writeHere(name, value);
      return true;
    });
  const setIfThere = (name: string, value: number | string): boolean | undefined => unless(ABSENT, () => set(name, value));
  const list = (folder: string): string[] => unless(ABSENT, () => inside(() => namesIn(pathOf(folder)))) ?? [];
  const write = (name: string, value: number | string): boolean => unless(ABSENT, () => (inside(() => writeHere(name, value)), true)) ?? false;
  return { find, set, setIfThere, write, list };
}

function wellFormed(name: string): string {
  const path = `/${name}/`;
  if (path.includes("//") || path.includes("/./") || path.includes("/../")) {
    throw new RangeError(`Cannot read sysctl "${name}" (a path such as net/ipv4/ip_forward is wanted)`);
  }
  return name;
}
