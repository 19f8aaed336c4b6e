/**
 * KernelError: the kernel said no, and these are all the facts it gave.
 *
 * Decide on `errno` ("EEXIST"), never on the message's text. The words come from libc's strerror.
 */
import { E } from "./uapi/errno.ts";

/** The name of an errno number: 17 → "EEXIST". A number that has no name stays a number: "E524". */
export function errnoName(number: number): string {
  for (const [name, value] of Object.entries(E())) if (value === number) return `E${name}`;
  return `E${number}`;
}

/** The number of an errno's name: "EEXIST" → 17. */
export function errnoNumber(errno: string): number {
  const found = Object.entries(E()).find(([name]) => errno === `E${name}`);
  if (found) return found[1];
  throw new RangeError(`Cannot find the number of "${errno}" (a name such as "EEXIST" is wanted)`);
}

export interface KernelFacts {
  /** Why, in libc's words: "file exists". */
  reason?: string;
  /** The extended acknowledgement's own words (NLMSGERR_ATTR_MSG), kernel 4.12 and later. */
  extack?: string;
  /** The attribute that the kernel objects to (NLMSGERR_ATTR_OFFS), by its name in linux/uapi. */
  attribute?: string;
  cause?: unknown;
}

export class KernelError extends Error {
  readonly errno: string;
  /** The same, under the name that Node's errors have it by. */
  readonly code: string;
  readonly extack: string | undefined;
  readonly attribute: string | undefined;

  /**
   * @param what the sentence's beginning, as in `Cannot add link "veth1f03"`
   * @param errno the name, as in "EEXIST"
   */
  constructor(what: string, errno: string, { reason, extack, attribute, cause }: KernelFacts = {}) {
    const words = [errno, ...(reason ? [reason] : [])].join(", ");
    const kernel = [extack ? `kernel: "${extack}"` : "", attribute ? `attribute ${attribute}` : ""].filter(Boolean);
    super(`${what}: ${words}${kernel.length > 0 ? ` (${kernel.join(", ")})` : ""}`, cause === undefined ? {} : { cause });
    this.name = "KernelError";
    this.errno = errno;
    this.code = errno;
    this.extack = extack;
    this.attribute = attribute;
  }
}

/** True when `error` is the kernel saying one of these errnos, or Node's file system saying it. */
export function isErrno(error: unknown, ...names: string[]): boolean {
  return error instanceof Error && "code" in error && names.some((name) => name === error.code);
}

/** Runs `work`; undefined where it failed with one of these errnos. Anything else goes on up. */
export function unless<T>(names: readonly string[], work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (isErrno(error, ...names)) return undefined;
    throw error;
  }
}

/**
 * Says that a failure does not matter here, and why. An empty catch says neither.
 * With VETHWORK_DEBUG set it is printed, so that nothing that went wrong is out of sight.
 */
export function ignore(error: unknown, why: string): void {
  if (process.env["VETHWORK_DEBUG"]) process.stderr.write(`ignored, ${why}: ${String(error)}\n`);
}
