/** Tests on a lab of their own, which goes with the test, also with one that fails. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { binFolder } from "@vethwork/plugins/testing/stage.ts";
import { missing, skipped } from "../../../tests/conformance/node/needs.ts";
import { startLab, stopLab, type Lab } from "../lab.ts";
import { findMachines } from "../machine.ts";
import type { LabSize } from "../plan.ts";

/** The built binary, as a lab's nodes get it. */
export const program = join(binFolder, "../vethwork");

/** What the machine lacks for a lab; "" where nothing. */
export const labLacks: string = missing({ root: true, programs: ["unshare", "nsenter"], files: { [program]: "npm run build" } });

/** Names that no person and no other test chooses. */
export const labName = (what: string): string => `test-${what}-${process.pid}`;

/** A test that needs no lab but what labs need. */
export function kernelTest(title: string, act: () => Promise<void>): void {
  test.skipIf(labLacks !== "")(skipped(title, labLacks), act);
}

/** Plays in a lab, takes it down, and looks whether any of its machines is left. */
export function labTest(title: string, size: LabSize, act: (lab: Lab) => Promise<void>): void {
  kernelTest(title, async () => {
    const name = labName("lab");
    try {
      await act(await startLab({ name, size, program }));
    } finally {
      await stopLab(name);
    }
    expect(findMachines(name)).toEqual([]);
  });
}
