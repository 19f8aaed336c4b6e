/**
 * What is around the binary, and must not change what it does: variables of its runtime, files in the working directory. That none of
 * those is even looked at is seen from outside, by strace.
 */
import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { missing, skipped } from "../../tests/conformance/node/needs.ts";

const program = join(import.meta.dir, "../../dist/cni-bin/bridge");
const lacks = missing({ files: { [program]: "npm run build" } });

test.skipIf(lacks !== "")(skipped("neither a variable of the runtime nor a file in the working directory makes a plugin run other code", lacks), () => {
  const folder = mkdtempSync(join(tmpdir(), "around-"));
  try {
    const foreign = join(folder, "foreign.js");
    writeFileSync(foreign, "process.stdout.write('foreign'); process.exit(9);");
    writeFileSync(join(folder, ".env"), "CNI_COMMAND=\n");
    writeFileSync(join(folder, "bunfig.toml"), `preload = ["${foreign}"]\n`);
    for (const name of [".env.local", ".env.production", ".env.development"]) writeFileSync(join(folder, name), "CNI_COMMAND=\n");
    for (const name of ["package.json", "tsconfig.json", "jsconfig.json"]) writeFileSync(join(folder, name), "not JSON");
    const preload = `--preload ${foreign}`;
    for (const more of [{}, { BUN_BE_BUN: "1" }, { BUN_OPTIONS: preload }, { NODE_OPTIONS: `--require ${foreign}` }, { BUN_INSPECT_PRELOAD: foreign, BUN_INSPECT: "1" }, { BUN_PRELOAD: foreign }, { BUN_CONFIG_FILE: join(folder, "bunfig.toml") }, { NODE_PATH: folder }, { NODE_ENV: "development" }, { BUN_RUNTIME_TRANSPILER_CACHE_PATH: folder }]) {
      const { exitCode, stdout } = Bun.spawnSync([program], { cwd: folder, env: { CNI_COMMAND: "VERSION", ...more } });
      expect({ more, exitCode, version: JSON.parse(stdout.toString()).cniVersion }).toEqual({ more, exitCode: 0, version: "1.1.0" });
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

const binary = join(import.meta.dir, "../../dist/vethwork");

/** What a start may look at, whether it is there or not: the loader's, the C library's, the runtime's questions about the machine. */
const LOOKED_AT: readonly RegExp[] = [
  /^\/etc\/(ld\.so\.(cache|preload)|localtime)$/, /^\/(usr\/)?lib(64)?\/([\w-]+\/)?(ld-linux-[\w-]+|lib(c|m|dl|pthread|rt))\.so\.\d$/,
  /^\/proc\/(self|thread-self|\d+)\//, /^\/proc\/(locks|stat|meminfo|cpuinfo)$/, /^\/proc\/sys\/(vm|net|kernel)\//, /^\/sys\/(devices\/system|fs\/cgroup|kernel\/mm)\//, /^\/dev\/(null|u?random|tty)$/, /^\/\$bunfs\//,
];

/** Each kind of program, and what it may look at beside that, since it was told to. */
const starts: readonly { what: string; argv: readonly string[]; env?: Record<string, string>; own?: readonly RegExp[] }[] = [
  { what: "a command", argv: [binary, "version"] },
  { what: "a plugin", argv: [program], env: { CNI_COMMAND: "VERSION" } },
  { what: "a plugin that fails", argv: [program], env: { CNI_COMMAND: "ADD", CNI_CONTAINERID: "x", CNI_IFNAME: "eth0", CNI_PATH: "/nowhere", CNI_NETNS: "/nowhere/netns" }, own: [/^\/nowhere\//] },
  { what: "the agent", argv: [binary, "agent", "--once", "--dry-run", "--source", "/nowhere", "--node", "n", "--run-dir", "/nowhere/run"], own: [/^\/nowhere(\/|$)/, /^\/etc\/cni\/net\.d\//, /^\/opt\/cni\/bin\//] },
];
const straceLacks = lacks || missing({ programs: ["strace"] });

for (const { what, argv, env = {}, own = [] } of starts) {
  test.skipIf(straceLacks !== "")(skipped(`${what} looks at no file but its own, whatever lies in the working directory`, straceLacks), () => {
    const folder = mkdtempSync(join(tmpdir(), "around-"));
    try {
      const here = join(folder, "here");
      mkdirSync(join(here, "node_modules/@vethwork/cni"), { recursive: true });
      for (const name of [".env", ".env.local", ".env.production", ".npmrc", "bunfig.toml", "package.json", "tsconfig.json", "jsconfig.json", "bun.lock"]) writeFileSync(join(here, name), "{}\n");
      const trace = join(folder, "trace");
      Bun.spawnSync(["strace", "-f", "-qq", "-e", "trace=%file", "-s", "4096", "-o", trace, ...argv], { cwd: here, env: { PATH: "/usr/bin:/bin", HOME: here, ...env }, stdin: Buffer.from("{}") });
      // chdir and getcwd are the runtime's own; a file would be opened, or asked about.
      const lines = readFileSync(trace, "utf8").split("\n").filter((line) => !/^\d+ +(chdir|getcwd|execve)\(/.test(line));
      const paths = lines.map((line) => /"((?:[^"\\]|\\.)*)"/.exec(line)?.[1] ?? "").filter((path) => path !== "");
      expect(paths.length).toBeGreaterThan(5);
      expect(paths.filter((path) => ![...LOOKED_AT, ...own].some((one) => one.test(path)) && path !== argv[0])).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}
