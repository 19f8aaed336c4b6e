/** A plugin is found in three places: its folder, the registry that makes a link of its type, and the list that people read. */
import type { RepositoryFile } from "./files.ts";

const REGISTRY = "packages/plugins/registry.ts";
const LIST = "packages/plugins/README.md";

/** Plugins that lack one of the three. */
export function pluginFaults(files: readonly RepositoryFile[]): string[] {
  const textOf = (path: string): string => files.find((file) => file.path === path)?.text ?? "";
  const folders = files.flatMap(({ path }) => /^packages\/plugins\/([^/]+)\/\1\.ts$/.exec(path)?.[1] ?? []);
  const entries = [...textOf(REGISTRY).matchAll(/^ {2}"?([\w-]+)"?: \(\) => require\("(.*)"\),$/gm)].map(([, type = "", file = ""]) => ({ type, file }));
  const list = textOf(LIST);
  return [
    ...entries.filter(({ type, file }) => file !== `./${type}/${type}.ts`).map(({ type, file }) => `${REGISTRY}: ${type} is ${file}, not ./${type}/${type}.ts`),
    ...entries.filter(({ type }) => !folders.includes(type)).map(({ type }) => `${REGISTRY}: there is no packages/plugins/${type}/${type}.ts`),
    ...folders.filter((type) => !entries.some((entry) => entry.type === type)).map((type) => `${REGISTRY}: no line ${type}: () => require("./${type}/${type}.ts"),`),
    ...folders.filter((type) => !list.includes(`\n| [${type}](${type}/${type}.ts) | `)).map((type) => `${LIST}: no row | [${type}](${type}/${type}.ts) | what it does for a pod |`),
  ];
}
