/** Which functions read what others wrote, as far as their form tells, and which of them the table of decoders plays. */
import { isProduct, type RepositoryFile } from "./files.ts";
import { codeOf, lineAt } from "./source.ts";

export interface Reader {
  name: string;
  path: string;
  line: number;
}

/** A first argument that is text, bytes or anything, under a name that says that it came from somewhere. */
const FORM = /^export (?:async )?(?:function |const )(\w+)(?: = )?(?:async )?(?:<[^>(]*>)?\((\w+): (?:string|unknown|Uint8Array|JsonObject|Environment)\b/gm;
/** It reads by name (parseIp, decodeMessage, ownerIn, networkConfFromBytes), or by what it takes (raw, frame, line). */
const READS = /^(?:parse|decode|read|load|find)[A-Z]|(?:In|From|FromBytes)$/;
const GIVEN = /^(?:text|bytes|raw|frame|line|json|stdout|value|comment|object|env|message|file)$/;

/** Exported readers of the product: commands and the lab read what their own user types. */
export function readersIn(files: readonly RepositoryFile[]): Reader[] {
  const wanted = files.filter((file) => isProduct(file) && /^packages\/(?:cni|linux|plugins|agent)\//.test(file.path) && !/\/(?:testing|dist)\//.test(file.path));
  return wanted.flatMap(({ path, text }) =>
    [...codeOf(text).matchAll(FORM)].flatMap(({ 1: name = "", 2: argument = "", index }): Reader[] => (READS.test(name) && GIVEN.test(argument) ? [{ name, path, line: lineAt(text, index) }] : [])));
}

/** What the tables import: from the file itself, or from the door of its package. */
function importsOf(files: readonly RepositoryFile[]): { name: string; from: string }[] {
  return files.filter(({ path }) => path.startsWith("tests/junk/decoders/")).flatMap(({ text }) =>
    [...text.matchAll(/^import \{([^}]*)\} from "([^"]+)"/gm)].flatMap(({ 1: names = "", 2: from = "" }) => names.split(",").map((name) => ({ name: name.trim().split(" ")[0] ?? "", from }))));
}

/** Readers that no table plays, but for `exceptions`, "path name" → why; and exceptions that are none any more. */
export function unplayed(files: readonly RepositoryFile[], exceptions: Readonly<Record<string, string>>): string[] {
  const imports = importsOf(files);
  const isPlayed = ({ name, path }: Reader): boolean => imports.some((one) => one.name === name && isFrom(one.from, path));
  const missing = readersIn(files).filter((reader) => !isPlayed(reader));
  const keyOf = ({ name, path }: Reader): string => `${path} ${name}`;
  return [
    ...missing.filter((reader) => !(keyOf(reader) in exceptions)).map(({ name, path, line }) => `${path}:${line}: ${name} reads what others wrote, and no table in tests/junk/decoders has it`),
    ...Object.keys(exceptions).filter((key) => !missing.some((reader) => keyOf(reader) === key)).map((key) => `${key}: needs no exception`),
  ];
}

function isFrom(from: string, path: string): boolean {
  const file = from.replace(/^(?:\.\.\/)+/, "").replace(/^@vethwork\//, "packages/");
  return file === path || (from.startsWith("@vethwork/") && path.startsWith(`${file}/`) && !file.endsWith(".ts"));
}
