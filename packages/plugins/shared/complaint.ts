/** What CHECK answers where it finds something: all of it in one error. */
import { CniError } from "@vethwork/cni";

/** The attachment is not as ADD left it. The specification leaves codes from 100 on to plugins. */
export const CHANGED = 100;

/** CniError 100 that says what is wrong, where anything is. `about` is a sentence: `container "c" is not as it was added`. */
export function complain(about: string, faults: readonly string[]): void {
  if (faults.length > 0) throw new CniError(CHANGED, `${about}: ${faults.join("; ")}`);
}
