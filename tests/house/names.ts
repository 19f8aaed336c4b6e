/** What files are called, where they lie, and what may stand in none of them. */
import { posix } from "node:path";
import { isTypeScript, type RepositoryFile } from "./files.ts";
import { codeOf, lineAt } from "./source.ts";

/** Names that say nothing, and folders that only cost a click. `index.ts` is the door of a package that others install. */
export function badNames(paths: readonly string[]): string[] {
  return paths.flatMap((path) => {
    if (/(?:^|\/)(?:utils?|helpers?|misc|common)(?:\.ts$|\/)/.test(path)) return [`${path}: the name says nothing of the network`];
    if (/(?:^|\/)src\//.test(path)) return [`${path}: no src/: a package's files lie in the package`];
    if (/(?:^|\/)index\.ts$/.test(path) && !/^packages\/[^/]+\/index\.ts$/.test(path)) return [`${path}: index.ts is a package's door only`];
    if (/[A-Z ]/.test(posix.basename(path)) && path.endsWith(".ts")) return [`${path}: file names are lower case, words joined by "-" or "_"`];
    return [];
  });
}

/** `x.test.ts` and `x.root.test.ts` lie beside `x.ts` (or the folder x); `x.story.test.ts` tells one story of x. */
export function lonelyTests(paths: readonly string[]): string[] {
  const known = new Set(paths);
  return paths.filter((path) => /^packages\/.*\.test\.ts$/.test(path)).filter((path) => {
    const subject = posix.join(posix.dirname(path), posix.basename(path).split(".")[0] ?? "");
    const sameFolder = posix.basename(posix.dirname(path)) === posix.basename(subject);
    return !sameFolder && !known.has(`${subject}.ts`) && !paths.some((other) => other.startsWith(`${subject}/`));
  }).map((path) => `${path}: there is no ${posix.basename(path).split(".")[0]}.ts beside it`);
}

/** What is to be done stands in an issue; in the text it only ages. */
export function unfinished(files: readonly RepositoryFile[]): string[] {
  const words = new RegExp(`\\b(?:${["TO|DO", "FIX|ME", "X|XX", "HA|CK"].map((word) => word.replace("|", "")).join("|")})\\b`, "g");
  return everyPlace(files, words, (word) => `"${word}" belongs into an issue`);
}

/** A path of the machine that the text was written on is somebody's private furniture. */
export function machinePaths(files: readonly RepositoryFile[]): string[] {
  const folders = ["work", "root", "farm", "tmp", "home"].join("|");
  return everyPlace(files, new RegExp(`(?<![\\w.$})*-])/(?:${folders})/[\\w.{$-]+`, "g"), (path) => `${path} is a path of one machine`);
}

/** Where packages come from is each machine's own configuration. */
export function downloadHosts(files: readonly RepositoryFile[]): string[] {
  const hosts = [
    "registry.npmjs|org", "registry.yarnpkg|com", "npm.pkg.github|com", "proxy.golang|org", "pypi|org", "deb.debian|org",
    "security.debian|org", "snapshot.debian|org", "archive.ubuntu|com",
  ].map((host) => host.replace("|", "\\.").replaceAll(/(?<!\\)\./g, "\\."));
  const pattern = new RegExp(`\\b(?:${hosts.join("|")})\\b|"resolved":\\s*"http`, "g");
  return everyPlace(files, pattern, (text) => `${text} is a download address`);
}

/**
 * Characters that make a text read otherwise than it runs: direction marks, zero width, a byte order mark, spaces that
 * are none; and letters in code that look like ASCII. Pictures and signs in comments and strings are welcome.
 */
export function trickCharacters(files: readonly RepositoryFile[]): string[] {
  const invisible = /[\u00a0\u00ad\u061c\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\ufeff]|[^\P{Cc}\n\t]/gu;
  const foreign = /[^\0-\x7f]/gu;
  const name = (char: string) => `U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
  return [
    ...everyPlace(files, invisible, (char) => `the invisible character ${name(char)}`),
    ...everyPlace(files.filter(isTypeScript).map((file) => ({ path: file.path, text: codeOf(file.text) })), foreign,
      (char) => `${name(char)} in code`),
  ];
}

function everyPlace(files: readonly RepositoryFile[], pattern: RegExp, says: (text: string) => string): string[] {
  return files.flatMap(({ path, text }) =>
    [...text.matchAll(pattern)].map((match) => `${path}:${lineAt(text, match.index)}: ${says(match[0])}`));
}

export const pathsOf = (files: readonly RepositoryFile[]): string[] => files.map((file) => file.path);
