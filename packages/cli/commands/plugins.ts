/** `vethwork plugins [TYPE]`: which CNI plugins this binary is, and what options each takes. */
import { rowsOf } from "@vethwork/cni";
import { findPlugin, types } from "@vethwork/plugins/registry.ts";
import { UsageError, readArguments, type Command } from "../usage.ts";

const help = `Usage: vethwork plugins [TYPE] [--json]

Lists the CNI plugins in this binary, or the options of one.
`;

export const plugins: Command = {
  name: "plugins",
  about: "the CNI plugins in this binary, and their options",
  help,
  run: (args) => {
    const { values, positionals } = readArguments(args, { json: { type: "boolean" } });
    const [type] = positionals;
    const text = type === undefined ? listAll(values.json ?? false) : describe(type, values.json ?? false);
    process.stdout.write(`${text}\n`);
    return Promise.resolve(0);
  },
};

function listAll(json: boolean): string {
  const rows = types.map((type) => ({ type, about: findPlugin(type)?.about ?? "" }));
  if (json) return JSON.stringify(rows, undefined, 2);
  const width = Math.max(...types.map((type) => type.length));
  return rows.map(({ type, about }) => `${type.padEnd(width)}  ${about}`).join("\n");
}

function describe(type: string, json: boolean): string {
  const plugin = findPlugin(type);
  if (!plugin) throw new UsageError(`there is no plugin "${type}" (${types.join(", ")})`);
  const rows = rowsOf(plugin.config);
  if (json) return JSON.stringify({ type, about: plugin.about, versions: plugin.versions, options: rows }, undefined, 2);
  const options = rows.map(({ name, wanted, fallback, about }) => `  ${name}\n      ${about}\n      ${wanted}; default: ${fallback}`);
  return [`${type}: ${plugin.about}`, `CNI versions: ${plugin.versions.join(", ")}`, ...options].join("\n");
}
