/** What a person reads: each package has a README that shows and refuses, no link leads nowhere, and what is quoted is so. */
import { posix } from "node:path";
import type { RepositoryFile } from "./files.ts";
import { lineAt } from "./source.ts";

/** Packages, by folder name, with a package.json. */
export function packagesOf(files: readonly RepositoryFile[]): string[] {
  return files.flatMap(({ path }) => /^packages\/([^/]+)\/package\.json$/.exec(path)?.[1] ?? []).sort();
}

/** A README has an example to run, and a list of what the package will not do, so that nobody waits for it. */
export function readmeFaults(files: readonly RepositoryFile[]): string[] {
  return packagesOf(files).flatMap((name) => {
    const readme = files.find(({ path }) => path === `packages/${name}/README.md`);
    if (readme === undefined) return [`packages/${name}: no README.md`];
    const faults: string[] = [];
    if (!/^```\w*\n[\s\S]+?^```/m.test(readme.text)) faults.push(`${readme.path}: no example`);
    if (!refusals(readme.text)) faults.push(`${readme.path}: no list of what it refuses (a heading with "refuse", then a list)`);
    return faults;
  });
}

function refusals(text: string): boolean {
  const section = /^#+[^\n]*\brefuse[sd]?\b[^\n]*\n([\s\S]*?)(?=^#|(?![\s\S]))/im.exec(text)?.[1] ?? "";
  return /^\s*(?:[-*]|\|)\s/m.test(section);
}

/** Links inside the repository: the file is there, and so is the heading. */
export function deadLinks(files: readonly RepositoryFile[]): string[] {
  const texts = new Map(files.map(({ path, text }) => [path, text]));
  const isFolder = (path: string) => path === "." || files.some((file) => file.path.startsWith(`${path}/`));
  return files.filter(({ path }) => path.endsWith(".md")).flatMap(({ path, text }) =>
    linksOf(text).flatMap(({ target, offset }) => {
      const [file = "", anchor = ""] = target.split("#");
      const to = file === "" ? path : posix.join(posix.dirname(path), decodeURIComponent(file)).replace(/\/$/, "");
      const where = `${path}:${lineAt(text, offset)}`;
      const there = texts.get(to);
      if (there === undefined) return isFolder(to) ? [] : [`${where}: ${target} is not there`];
      if (anchor === "" || !to.endsWith(".md") || headings(there).has(anchor)) return [];
      return [`${where}: ${to} has no heading #${anchor}`];
    }));
}

function linksOf(text: string): { target: string; offset: number }[] {
  const prose = text.replace(/^```[\s\S]*?^```|`[^`\n]*`/gm, (code) => code.replace(/[^\n]/g, " "));
  return [...prose.matchAll(/\]\(\s*([^)\s]+)[^)]*\)|^\[[^\]]+\]:\s*(\S+)/gm)]
    .map((match) => ({ target: match[1] ?? match[2] ?? "", offset: match.index }))
    .filter(({ target }) => !/^[a-z][a-z0-9+.-]*:/i.test(target));
}

/** The anchors that a forge makes of headings: lower case, punctuation gone, blanks to dashes. */
function headings(text: string): Set<string> {
  const lines = [...text.replace(/^```[\s\S]*?^```/gm, "").matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)];
  return new Set(lines.map(([, title = ""]) => title.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").replace(/\s/g, "-")));
}

/**
 * A block that begins with "```ts some/file.ts" quotes that file: its lines stand there, in this order. Where a line ends in "…" its
 * beginning does.
 */
export function wrongQuotes(files: readonly RepositoryFile[]): string[] {
  const texts = new Map(files.map(({ path, text }) => [path, text]));
  return files.filter(({ path }) => path.endsWith(".md")).flatMap(({ path, text }) =>
    [...text.matchAll(/^```\w+ (\S+)\n([\s\S]*?)^```/gm)].flatMap(({ index, 1: source = "", 2: quoted = "" }) => {
      const where = `${path}:${lineAt(text, index)}`;
      const there = texts.get(source);
      if (there === undefined) return [`${where}: ${source} is not there`];
      let left = there.split("\n");
      const isThere = (line: string): boolean => {
        const at = left.findIndex((one) => (line.endsWith("…") ? one.startsWith(line.slice(0, -1)) : one === line));
        if (at >= 0) left = left.slice(at + 1);
        return at >= 0;
      };
      const strange = quoted.split("\n").find((line) => line.trim() !== "" && !isThere(line));
      return strange === undefined ? [] : [`${where}: ${source} has no line "${strange.trim()}", or not there`];
    }));
}
