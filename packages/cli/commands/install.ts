/**
 * `vethwork install`: puts this binary where the node's runtime looks for plugins, under the names that it serves.
 *
 *     /opt/cni/bin/vethwork                 the binary, copied beside and renamed
 *     /opt/cni/bin/bridge  -> vethwork      a link for each type, made beside and renamed
 *
 * A runtime may be starting the old file at this very moment: it gets the old one or the new one, whole, and never "text file
 * busy", since nothing is written over. Plugins of others stay unless they are named.
 */
import { chmodSync, copyFileSync, existsSync, lstatSync, mkdirSync, readlinkSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { isSameFile } from "@vethwork/linux";
import { types } from "@vethwork/plugins/registry.ts";
import { UsageError, readArguments, type Command } from "../usage.ts";

const help = `Usage: vethwork install [--bin-dir DIR] [--all | TYPE…] [--dry-run] [--json]

Puts this binary into the folder of CNI plugins, and a link for each TYPE that it is to serve.
Without TYPE: vethwork, and each type that the folder has no plugin for.

  --bin-dir DIR  the folder; /opt/cni/bin
  --all          every type, also in the place of others' plugins
  --dry-run      only says what would change
  --json         prints changes as JSON

Types: ${types.join(", ")}
`;

const OPTIONS = {
  "bin-dir": { type: "string", default: "/opt/cni/bin" },
  all: { type: "boolean", default: false },
  "dry-run": { type: "boolean", default: false },
  json: { type: "boolean", default: false },
} as const;

const BINARY = "vethwork";

interface Change {
  verb: "copy" | "link" | "replace" | "keep";
  what: string;
}

export const install: Command = {
  name: "install",
  about: "puts this binary and its links where runtimes look for plugins",
  help,
  run: (args) => {
    const { values, positionals } = readArguments(args, OPTIONS);
    const strange = positionals.find((type) => !types.includes(type));
    if (strange !== undefined) throw new UsageError(`there is no plugin "${strange}" (${types.join(", ")})`);
    if (values.all && positionals.length > 0) throw new UsageError("one of --all and TYPE… is wanted");
    const folder = resolve(values["bin-dir"]);
    const program = builtProgram();
    const asked = values.all ? types : positionals;
    const changes = [...placeBinary(folder, program, values["dry-run"]), ...types.filter((type) => type !== BINARY).flatMap((type) => placeLink(folder, type, { asked, dryRun: values["dry-run"] }))];
    process.stdout.write(values.json ? `${JSON.stringify(changes, undefined, 2)}\n` : changes.map(({ verb, what }) => `${values["dry-run"] ? "would " : ""}${verb} ${what}\n`).join(""));
    return Promise.resolve(0);
  },
};

function placeBinary(folder: string, program: string, dryRun: boolean): Change[] {
  const target = join(folder, BINARY);
  if (existsSync(target) && isSameFile(program, target)) return [{ verb: "keep", what: `${target}: it is this program` }];
  if (!dryRun) {
    mkdirSync(folder, { recursive: true });
    swapIn(target, (beside) => {
      copyFileSync(program, beside);
      chmodSync(beside, 0o755);
    });
  }
  return [{ verb: "copy", what: `${program} to ${target}` }];
}

/** What was asked for by name is put in anybody's place; what was not only where nothing is. */
function placeLink(folder: string, type: string, { asked, dryRun }: { asked: readonly string[]; dryRun: boolean }): Change[] {
  const target = join(folder, type);
  const there = lstatSync(target, { throwIfNoEntry: false });
  if (there?.isSymbolicLink() && readlinkSync(target) === BINARY) return [];
  if (asked.length > 0 && !asked.includes(type)) return [];
  if (there && !asked.includes(type)) return [{ verb: "keep", what: `${target}: it is another's (name it to replace it)` }];
  if (!dryRun) swapIn(target, (beside) => symlinkSync(BINARY, beside));
  return [{ verb: there ? "replace" : "link", what: `${target}${there ? " by a link" : ""} to ${BINARY}` }];
}

/** Makes something beside the target and renames it over: who looks finds the old or the new one. */
function swapIn(target: string, make: (beside: string) => void): void {
  const beside = `${target}.${process.pid}.new`;
  try {
    make(beside);
    renameSync(beside, target);
  } finally {
    rmSync(beside, { force: true });
  }
}

function builtProgram(): string {
  if (Bun.main.startsWith("/$bunfs/")) return process.execPath;
  throw new UsageError(`"${process.execPath}" is no built program (npm run build makes one: dist/vethwork)`);
}
