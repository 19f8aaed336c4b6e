/**
 * `vethwork install`: puts this binary where the node's runtime looks for plugins, under the names that it serves.
 *
 *     /opt/cni/bin/vethwork                 the binary, copied beside and renamed
 *     /opt/cni/bin/bridge  -> vethwork      a link for each type, made beside and renamed
 *
 * Plugins of others stay unless they are named. How it is done is packages/plugins/shared/install.ts's.
 */
import { resolve } from "node:path";
import { BINARY, placeBinary, placeLink } from "@vethwork/plugins/shared/install.ts";
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
    const changes = [placeBinary(folder, program, { dryRun: values["dry-run"] }), ...types.filter((type) => type !== BINARY).flatMap((type) => placeLink(folder, type, { asked, dryRun: values["dry-run"] }))];
    process.stdout.write(values.json ? `${JSON.stringify(changes, undefined, 2)}\n` : changes.map(({ verb, what }) => `${values["dry-run"] ? "would " : ""}${verb} ${what}\n`).join(""));
    return Promise.resolve(0);
  },
};

/** This program's file; UsageError where it runs from its sources. */
export function builtProgram(): string {
  if (Bun.main.startsWith("/$bunfs/")) return process.execPath;
  throw new UsageError(`"${process.execPath}" is no built program (npm run build makes one: dist/vethwork)`);
}
