/**
 * Faults on demand: dies or fails at the n-th call into the kernel.
 *
 * A plugin that root runs thousands of times a day is killed in the middle some day. Tests ask for that day:
 * every call that changes or reads the kernel announces itself here first, and the test build (VETHWORK_FAULTS
 * true at build time) then obeys VETHWORK_FAULT:
 *
 *   count              print the number of calls and their names to stderr at exit
 *   kill:N             SIGKILL to ourselves just before call N (the first is 1)
 *   fail:N:ENOMEM      call N fails with that errno instead of being made
 *
 * The shipped binary is built with VETHWORK_FAULTS false: of all this is left a call that does nothing.
 */
import { KernelError } from "./errors.ts";

declare const VETHWORK_FAULTS: boolean | undefined;

const enabled = typeof VETHWORK_FAULTS !== "undefined" && VETHWORK_FAULTS;
const calls: string[] = [];

/** Announces a call into the kernel, by what it does: `RTM_NEWLINK veth1f03`, `unlink …/10.1.0.5`. */
export function kernelCall(what: string): void {
  if (enabled) obey(what);
}

function obey(what: string): void {
  const [mode = "", at = "", errno = "EIO"] = (process.env["VETHWORK_FAULT"] ?? "").split(":");
  if (mode === "") return;
  calls.push(what);
  if (mode === "count" && calls.length === 1) process.on("exit", printCalls);
  if (calls.length !== Number(at)) return;
  if (mode === "kill") process.kill(process.pid, "SIGKILL");
  if (mode === "fail") throw new KernelError(`Cannot ${what}`, errno, { reason: "injected by VETHWORK_FAULT" });
}

function printCalls(): void {
  process.stderr.write(calls.map((call, index) => `${index + 1} ${call}\n`).join(""));
}
