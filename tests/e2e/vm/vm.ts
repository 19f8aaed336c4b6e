/**
 * Runs a command in a virtual machine that has Debian's kernel, with all its modules, and this machine's files. What the
 * command writes stays in the machine's memory and is gone with it; what it says and how it ends comes back.
 *
 *     const { code, out } = await runInVm(["ip", "link", "add", "blue", "type", "vrf", "table", "7"]);
 *
 * A start takes some seconds, and everything in it a multiple of its time: the processor is emulated. How it is built tell
 * vm.sh and init.sh; where its kernel comes from, fetch.sh.
 */
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RigFailure } from "../../conformance/node/failure.ts";
import { missing } from "../../conformance/node/needs.ts";
import { cleanEnv, type Output } from "../../conformance/node/node.ts";

const root = join(import.meta.dir, "../../..");
const kernel = join(root, ".cache/vm/kernel");
const script = join(import.meta.dir, "vm.sh");

/** What the machine lacks for a virtual one; "" where nothing. */
export const vmLacks: string = process.arch !== "x64" ? "an x86-64 machine" : missing({
  root: true,
  programs: ["qemu-system-x86_64", "setpriv", "modprobe"],
  files: { [join(kernel, "boot")]: "scripts/setup.sh e2e" },
});

export interface VmOptions {
  /** The folder to run the command in; this repository's unless given. */
  cwd?: string;
  /** Variables beside PATH, HOME and LANG. */
  env?: Readonly<Record<string, string>>;
  /** The machine is switched off after so long; two minutes unless given. */
  timeoutMs?: number;
  /** Files that the command reads again and again. */
  hot?: readonly string[];
  /** Called with what the command prints, as it comes. */
  onOutput?: (text: string) => void;
}

/** Programs that every test starts hundreds of times. */
const hotPrograms = ["bash", "cat", "env", "find", "grep", "ip", "mkdir", "mount", "nft", "nsenter", "sed", "sleep", "sort", "unshare"];

/** Runs it, whatever its exit code. Throws RigFailure with the kernel's last words where the machine does not come to an end. */
export async function runInVm(argv: readonly string[], { cwd = root, env = {}, timeoutMs = 120_000, hot = [], onOutput }: VmOptions = {}): Promise<Output> {
  const work = mkdtempSync(join(tmpdir(), "vethwork-vm-"));
  try {
    fill(work, jobOf(argv, { cwd, env }), hot);
    const child = Bun.spawn(["bash", script, work], { stdin: "pipe", stdout: "pipe", stderr: "pipe", env: cleanEnv, timeout: timeoutMs, killSignal: "SIGKILL" });
    const said = child.stderr.text();
    let out = "";
    const decoder = new TextDecoder();
    for await (const bytes of child.stdout) {
      const text = decoder.decode(bytes, { stream: true });
      out += text;
      onOutput?.(text);
    }
    await child.exited;
    const status = textOf(join(work, "status")).trim();
    if (status === "") throw new RigFailure(`Cannot run "${argv.join(" ")}" in a virtual machine: ${child.signalCode === null ? "it ended without a word" : `it was switched off after ${timeoutMs / 1000} s`}: ${`${await said}${lastLines(work)}`.trim()}`);
    return { code: Number(status), out, err: textOf(join(work, "err")) };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Gives the terminal a shell in the machine. */
export async function shellInVm(): Promise<number> {
  const work = mkdtempSync(join(tmpdir(), "vethwork-vm-"));
  try {
    fill(work, "", []);
    const child = Bun.spawn(["bash", script, work, "shell"], { stdin: "inherit", stdout: "inherit", stderr: "inherit", env: { ...cleanEnv, TERM: process.env["TERM"] ?? "dumb" } });
    return await child.exited;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function fill(work: string, job: string, hot: readonly string[]): void {
  writeFileSync(join(work, "job"), job);
  writeFileSync(join(work, "hot"), `${[...hotPrograms.map((name) => `/usr/bin/${name}`), "/usr/sbin/nft", ...hot].join("\n")}\n`);
}

function jobOf(argv: readonly string[], { cwd, env }: Required<Pick<VmOptions, "cwd" | "env">>): string {
  const variables = Object.entries(env).map(([name, value]) => `export ${name}=${quoted(value)}`);
  return [...variables, `cd ${quoted(cwd)}`, `exec ${argv.map(quoted).join(" ")}`, ""].join("\n");
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
const textOf = (path: string): string => (existsSync(path) ? readFileSync(path, "utf8") : "");
const lastLines = (work: string): string => readdirSync(work).filter((name) => name === "console" || name === "virtiofsd")
  .map((name) => `\n${name}: ${textOf(join(work, name)).trim().split("\n").slice(-8).join("\n")}`).join("");
