/**
 * The one binary: everything Vethwork is, in one file that a node needs nothing else for.
 *
 *   dist/vethwork            the binary
 *   dist/cni-bin/bridge   -> ../vethwork     one link per CNI type, because a runtime calls a plugin by its type
 *   dist/cni-bin/…           and the binary looks at the name it was called by
 *
 * Inside is a program for each type, and one for the command: what a plugin needs in one piece, and nothing else, so that
 * a pod does not wait for the code of twenty plugins, nor for the loading of twenty pieces that they share. The price is
 * some hundred kilobytes for each (docs/decisions/0022-a-program-for-each-plugin.md).
 *
 * `--test` builds a second one into dist/test with VETHWORK_FAULTS on: it can be told to die at the n-th kernel call,
 * which nobody wants in a program that root runs on a node.
 *
 * A container runtime may be executing the file while it is replaced. So it is written under another name and renamed:
 * who runs the old one keeps the old one. Says what it did on stderr.
 */
import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { renameSync, rmSync, statSync, symlinkSync, utimesSync } from "node:fs";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";

const root = join(import.meta.dir, "..");

/** What a build wants to know. */
export interface BuildOptions {
  /** With the fault points, into dist/test. */
  readonly test: boolean;
  /** Even when nothing is newer than the binary. */
  readonly force: boolean;
}

/** Builds the binary and its links if a source is newer; returns the binary's path. Throws CommandFailed. */
export async function build(options: BuildOptions): Promise<string> {
  const folder = join(root, "dist", options.test ? "test" : "");
  const binary = join(folder, "vethwork");
  if (!options.force && isCurrent(binary) && existsSync(join(folder, "cni-bin"))) return binary;

  const begun = new Date();
  const work = join(folder, `.build-${process.pid}`);
  mkdirSync(work, { recursive: true });
  try {
    const types = await pluginTypes();
    bundlePlugins(work, types, options.test);
    compile(work, types, options.test);
    linkTypes(join(work, "cni-bin"), types);
    utimesSync(join(work, "vethwork"), begun, begun); // what is edited from here on is newer than the binary
    renameSync(join(work, "vethwork"), binary);
    replaceLinks(join(work, "cni-bin"), join(folder, "cni-bin"));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  const megabytes = (statSync(binary).size / 1e6).toFixed(1);
  const seconds = ((Date.now() - begun.getTime()) / 1000).toFixed(1);
  console.error(`built ${relative(root, binary)}: ${megabytes} MB in ${seconds} s`);
  return binary;
}

/** bun build ended with something else than 0; what it said is on stderr already. */
export class CommandFailed extends Error {
  override readonly name = "CommandFailed";
}

/** The binary is younger than every file it could be made of, and than every folder: a deleted file is a change too. */
function isCurrent(binary: string): boolean {
  if (!existsSync(binary)) return false;
  const built = statSync(binary).mtimeMs;
  const sources = ["packages", "scripts/build.ts", "package-lock.json", "node_modules/bun/package.json"];
  return sources.every((source) => newest(join(root, source)) <= built);
}

function newest(path: string): number {
  const entry = lstatSync(path, { throwIfNoEntry: false });
  if (entry === undefined) return 0;
  if (!entry.isDirectory()) return path.endsWith(".test.ts") ? 0 : entry.mtimeMs;
  const inside = readdirSync(path)
    .filter((name) => name !== "node_modules" && name !== "dist")
    .map((name) => newest(join(path, name)));
  return Math.max(entry.mtimeMs, ...inside);
}

/** Each plugin's program in one file: work/programs/<type>.js, from an entry that imports the plugin and serves it. */
function bundlePlugins(work: string, types: readonly string[], test: boolean): void {
  const entries = types.map((type) => join(work, "entries", `${type}.ts`));
  mkdirSync(join(work, "entries"));
  for (const [at, type] of types.entries()) {
    const plugin = importing("plugin", join(root, "packages/plugins", type, `${type}.ts`));
    const serve = importing("{ serve }", join(root, "packages/cli/program.ts"));
    writeFileSync(entries[at] ?? "", `${plugin}${serve}serve(plugin);\n`);
  }
  bun(work, ["--target=bun", "--define", `VETHWORK_FAULTS=${test}`, "--outdir", join(work, "programs"), "--entry-naming", "[name].[ext]", ...entries]);
}

/**
 * The binary: work/vethwork. Bytecode saves parsing at every start, and a plugin starts for every pod. It is over before
 * compiled code would pay, so the compiler waits for code a hundred million times as hot as usual: measured, ADD takes
 * 12.4 ms instead of 16.7. (Commands, some of which run for long, set the usual policy again.) Without the two
 * `--no-compile-autoload-…` the binary would read .env and bunfig.toml of whatever folder root happens to call it in.
 */
function compile(work: string, types: readonly string[], test: boolean): void {
  const outfile = join(work, "vethwork");
  const entry = join(work, "vethwork.ts");
  const programs = types.map((type) => `  ${JSON.stringify(type)}: () => import("./programs/${type}.js"),\n`).join("");
  writeFileSync(entry, `${importing("{ main }", join(root, "packages/cli/main.ts"))}void main({\n${programs}});\n`);
  bun(work, [
    "--compile", "--minify", "--bytecode", "--format=esm", "--splitting",
    "--no-compile-autoload-dotenv", "--no-compile-autoload-bunfig", "--compile-jit-policy=100000000",
    "--define", `VETHWORK_FAULTS=${test}`,
    entry, "--outfile", outfile,
  ]);
  disarm(outfile);
  chmodSync(outfile, 0o755);
}

/**
 * The runtime obeys variables that turn the binary into another program: BUN_BE_BUN makes it a JavaScript runtime that runs
 * whatever file it is given, BUN_OPTIONS preloads one. Neither can be switched off, so the names in the binary are made
 * ones that no variable can have (docs/decisions/0023-the-binary-obeys-few-variables.md).
 */
function disarm(binary: string): void {
  const bytes = readFileSync(binary);
  for (const name of ["BUN_BE_BUN", "BUN_OPTIONS"]) {
    let at = bytes.indexOf(name);
    if (at < 0) throw new CommandFailed(`Cannot disarm ${name}: the runtime does not have it (look whether a new one obeys another)`);
    for (; at >= 0; at = bytes.indexOf(name, at + 1)) bytes.write(name.replaceAll("_", "="), at, "latin1");
  }
  writeFileSync(binary, bytes);
}

const importing = (what: string, file: string): string => `import ${what} from ${JSON.stringify(file)};\n`;

/** Runs `bun build` in `work`, where it leaves its half-written files when it is killed. */
function bun(work: string, argv: readonly string[]): void {
  const done = Bun.spawnSync([process.execPath, "build", ...argv], { cwd: work, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  if (done.exitCode === 0) return;
  console.error(`${done.stdout}${done.stderr}`);
  throw new CommandFailed(`Cannot build the binary: bun build ended with ${done.exitCode ?? done.signalCode}`);
}

/** The names the binary answers to; imported late, because a fresh clone has no registry to import until it is built. */
async function pluginTypes(): Promise<readonly string[]> {
  const registry: unknown = await import(join(root, "packages/plugins/registry.ts"));
  const types = typeof registry === "object" && registry !== null && "types" in registry ? registry.types : undefined;
  if (!Array.isArray(types)) throw new TypeError("Cannot link the plugins: packages/plugins/registry.ts exports no list `types`");
  return types.map(String);
}

function linkTypes(folder: string, types: readonly string[]): void {
  mkdirSync(folder);
  for (const type of types) symlinkSync("../vethwork", join(folder, type));
}

/** Link by link, so that no moment is without a plugin; then those of types that are no more. */
function replaceLinks(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  const wanted = readdirSync(from);
  for (const type of wanted) if (linkOf(join(to, type)) !== "../vethwork") renameSync(join(from, type), join(to, type));
  for (const old of readdirSync(to)) if (!wanted.includes(old)) rmSync(join(to, old));
}

function linkOf(path: string): string | undefined {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ? readlinkSync(path) : undefined;
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { test: { type: "boolean" }, force: { type: "boolean" } } });
  try {
    await build({ test: values.test ?? false, force: values.force ?? false });
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    console.error(error.message);
    process.exit(1);
  }
}
