/** The command as a person types it: what is understood, what is not, and what is said then. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { loadCommands } from "./command.ts";

const commands = await loadCommands();

const vethwork = (...args: string[]): { code: number; out: string; err: string } => {
  const argv = [process.execPath, join(import.meta.dir, "testing/vethwork.ts"), ...args];
  const { exitCode, stdout, stderr } = Bun.spawnSync(argv, { argv0: "vethwork" });
  return { code: exitCode, out: stdout.toString(), err: stderr.toString() };
};

test("without arguments, and asked for help, it lists every command", () => {
  for (const args of [[], ["help"], ["--help"], ["-h"]]) {
    const { code, out, err } = vethwork(...args);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    for (const { name, about } of commands) expect(out).toMatch(new RegExp(`^ +${name} +${about}$`, "m"));
  }
});

test("every command tells its usage, by --help and by help", () => {
  for (const { name } of commands) {
    const { code, out } = vethwork(name, "--help");
    expect({ name, code }).toEqual({ name, code: 0 });
    expect(out).toStartWith(`Usage: vethwork ${name}`);
    expect(vethwork("help", name).out).toBe(out);
  }
  expect(vethwork("lab", "exec", "--name", "nobody", "node-1", "--", "ip", "--help")).toMatchObject({ code: 1, out: "", err: expect.stringContaining('no lab "nobody"') });
});

test("a command or an option that there is not is named, with exit code 2", () => {
  expect(vethwork("fly")).toMatchObject({ code: 2, out: "", err: expect.stringContaining('"fly"') });
  expect(vethwork("agent", "--fly")).toMatchObject({ code: 2, out: "", err: expect.stringMatching(/--fly[^]*vethwork agent --help/) });
  expect(vethwork("plugins", "fly")).toMatchObject({ code: 2, err: expect.stringContaining('there is no plugin "fly"') });
  expect(vethwork("completion", "tcsh")).toMatchObject({ code: 2, err: expect.stringContaining('"tcsh"') });
});

test("plugins are listed with their options, for people and as JSON", () => {
  expect(vethwork("plugins").out).toContain("vethwork");
  expect(vethwork("plugins", "vethwork").out).toContain("ipMasq");
  expect(JSON.parse(vethwork("plugins", "vethwork", "--json").out)).toMatchObject({ type: "vethwork", options: expect.any(Array) });
});

test("bash takes the completion script, and completes verbs, words and options by it", () => {
  const script = vethwork("completion", "bash").out;
  const complete = (...words: string[]): string[] => {
    const ask = `COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _vethwork; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = Bun.spawnSync(["bash", "-c", `${script}\n${ask}`]);
    expect(stderr.toString()).toBe("");
    return stdout.toString().trim().split("\n");
  };
  expect(complete("vethwork", "pl")).toEqual(["plugins"]);
  expect(complete("vethwork", "agent", "--cl")).toEqual(["--clear", "--cluster-subnet"]);
  expect(complete("vethwork", "completion", "f")).toEqual(["fish"]);
});
