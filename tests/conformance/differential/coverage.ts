/**
 * Which of a plugin's options the rows give: every option that the plugin's own table declares, by its path, against every
 * configuration of that type in any row.
 */
import { find, isObject, schemaOf, type ConfigTable, type JsonObject } from "@vethwork/cni";
import { chainOf, type Table } from "./table.ts";

/** The paths of a plugin's options: "mtu", "vlanTrunk[].minID", "args.cni.mac". */
export function optionsOf(config: ConfigTable): string[] {
  const walk = (schema: unknown, path: string): string[] => {
    if (!isObject(schema)) return [];
    const { properties, items } = schema;
    if (isObject(properties)) return Object.entries(properties).flatMap(([key, one]) => walk(one, path === "" ? key : `${path}.${key}`));
    const inside = isObject(items) && (isObject(items["properties"]) || isObject(items["items"])) ? walk(items, `${path}[]`) : [];
    return inside.length > 0 ? inside : [path];
  };
  return walk(schemaOf(config), "").filter((path) => path !== "");
}

/** The configurations of a type, of every row that has one. */
export const configsOf = (tables: readonly Table[], type: string): JsonObject[] =>
  tables.flatMap((table) => Object.values(table.rows).flatMap((row) => chainOf(table, row))).filter((config) => config["type"] === type);

/** Options that no configuration gives. */
export const missingOptions = (options: readonly string[], configs: readonly JsonObject[]): string[] =>
  options.filter((path) => !configs.some((config) => isGiven(config, path.split("."))));

function isGiven(value: unknown, [step = "", ...rest]: readonly string[]): boolean {
  if (step === "") return true;
  const name = step.replaceAll("[]", "");
  const found = isObject(value) ? find(value, name) : undefined;
  if (found === undefined) return false;
  const inside = step === name ? [found] : [found].flat(Infinity);
  return inside.some((one) => isGiven(one, rest));
}
