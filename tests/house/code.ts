/**
 * How code may look, as far as it can be told without a syntax tree. Each rule takes files and gives the places that
 * break it, as "path:line: why"; what needs a tree (`any`, `as`, `!`, unused names) is oxlint's, see lint.test.ts.
 */
import { isProduct, isTest, isTypeScript, type RepositoryFile } from "./files.ts";
import { codeOf, findInCode, lineAt } from "./source.ts";

const inWire = (file: RepositoryFile): boolean => file.path.startsWith("packages/linux/wire/");

/** Bytes are read and written by codecs, which know the byte order by name; a DataView elsewhere guesses it. */
export function bytesOutsideWire(files: readonly RepositoryFile[]): string[] {
  const pattern = /\bDataView\b|\.(?:get|set)(?:Uint|Int|BigUint|BigInt|Float)\d+\(|\.(?:read|write)(?:U?Int|BigU?Int)\d+[LB]?E?\(/g;
  return files.filter((file) => isProduct(file) && !inWire(file))
    .flatMap((file) => findInCode(file, pattern, "bytes are taken apart in packages/linux/wire only"));
}

/** An error that is only prose cannot be decided on: CniError, KernelError, TypeError, RangeError carry facts. */
export function bareErrors(files: readonly RepositoryFile[]): string[] {
  return files.filter((file) => isTypeScript(file) && !isTest(file)).flatMap((file) => [
    ...findInCode(file, /(?<![\w.])(?:new\s+)?Error\(/g, "a bare Error says nothing that code could decide on"),
    ...findInCode(file, /\bthrow\s+["'`]/g, "a string is thrown"),
  ]);
}

/** A failure that nobody looks at is written `ignore(error, "why it is all right")`. */
export function emptyCatches(files: readonly RepositoryFile[]): string[] {
  const block = /\bcatch\s*(?:\([^)]*\))?\s*\{\s*\}/g;
  const method = /\.catch\(\s*(?:\(\w*\)|\w+)\s*=>\s*(?:\{\s*\}|undefined|null|void 0)\s*\)/g;
  return files.filter(isTypeScript).flatMap((file) => [
    ...findInCode(file, block, "an empty catch: say ignore(error, why)"),
    ...findInCode(file, method, "an empty catch: say ignore(error, why)"),
  ]);
}

/** A file is one thought. The kernel's tables are as long as the kernel makes them, tests as long as the behaviour. */
export function longFiles(files: readonly RepositoryFile[], limit = 400): string[] {
  return files
    .filter((file) => /\.(?:ts|sh)$/.test(file.path) && !isTest(file) && !file.path.startsWith("packages/linux/uapi/"))
    .map((file) => ({ path: file.path, lines: file.text.trimEnd().split("\n").length }))
    .filter(({ lines }) => lines > limit)
    .map(({ path, lines }) => `${path}:${limit + 1}: ${lines} lines (at most ${limit})`);
}

/** Functions longer than fits on a screen. A function inside is counted by itself: a closure over state is our class. */
export function longFunctions(files: readonly RepositoryFile[], limit = 80): string[] {
  return files.filter((file) => isTypeScript(file) && !isTest(file)).flatMap((file) =>
    functionsOf(codeOf(file.text))
      .filter(({ ownLines }) => ownLines > limit)
      .map(({ line, ownLines }) => `${file.path}:${line}: a function of ${ownLines} lines (at most ${limit})`));
}

/** By its shape: a line that opens a function's body, to the line that closes it with the same indent. */
export function functionsOf(code: string): { line: number; ownLines: number }[] {
  const lines = code.split("\n");
  const spans = lines.flatMap((text, from) => {
    if (!opensFunction(text)) return [];
    const indent = /^ */.exec(text)?.[0] ?? "";
    const length = lines.slice(from + 1).findIndex((later) => later.startsWith(`${indent}}`)) + 2;
    return length < 2 ? [] : [{ from, to: from + length }];
  });
  return spans.map(({ from, to }) => {
    const inside = spans.filter((other) => other.from > from && other.to <= to);
    const nested = new Set(inside.flatMap((other) => Array.from({ length: other.to - other.from }, (_, n) => other.from + n)));
    return { line: from + 1, ownLines: to - from - nested.size };
  });
}

function opensFunction(line: string): boolean {
  if (!/\{\s*$/.test(line)) return false;
  if (/=>\s*\{\s*$/.test(line) || /\bfunction\b/.test(line)) return true;
  return /\)(?:\s*:[^=;]+)?\s*\{\s*$/.test(line) && !/^\s*(?:\}\s*)?(?:if|for|while|switch|catch|else|with|class|return)\b/.test(line);
}

/**
 * A `using` in ADD closes on the way out, before the frame walks the way back: a step that needs the resource would fail,
 * and leave what it should take away.
 */
export function closedBeforeUndo(files: readonly RepositoryFile[]): string[] {
  return files.filter((file) => isTypeScript(file) && !isTest(file)).flatMap((file) => {
    const names = [...file.text.matchAll(/^ +using (\w+) =/gm)].map(([, name = ""]) => name);
    return [...new Set(names)].flatMap((name) => {
      const step = new RegExp(`^ +using ${name} =(?:(?!\\n {0,2}\\}).)*?\\bundo\\.defer\\((?:(?!;).)*\\b${name}\\b`, "gms");
      return findInCode(file, step, `"${name}" is closed before the deferred step runs: undo.use(…) keeps it open`);
    });
  });
}

/** The reader's first question is what this is in the world; the answer stands on top. */
export function withoutHeader(files: readonly RepositoryFile[]): string[] {
  const scripts = files.filter((file) => /^#!.*sh\n/.test(file.text) && !/^#![^\n]*\n# .{20}/.test(file.text));
  const sources = files.filter((file) => isTypeScript(file) && !isTest(file) && !/^(?:#![^\n]*\n)?\/(?:\*\*|\/)\s*[^\n]*[\s\S]{20}/.test(file.text));
  return [...scripts, ...sources].map((file) => `${file.path}:1: no header comment`);
}

/** A rule that is switched off in a comment is switched off for everyone who copies the line. Allowed: path → why. */
export function switchedOff(files: readonly RepositoryFile[], allowed: Readonly<Record<string, string>>): string[] {
  const always = /(?:oxlint|eslint)-disable|@ts-(?:ignore|nocheck)/;
  const product = /@ts-expect-error/; // in a test it is an assertion: the type checker must refuse the next line
  const breaks = (file: RepositoryFile) => always.test(file.text) || (!isTest(file) && product.test(file.text));
  const found = files.filter((file) => isTypeScript(file) && !isHouse(file) && breaks(file));
  const stale = Object.keys(allowed).filter((path) => !found.some((file) => file.path === path));
  return [
    ...found.filter((file) => !(file.path in allowed)).map((file) => `${file.path}: switches a rule off in a comment`),
    ...stale.map((path) => `${path}: needs no exception any more`),
  ];
}

/** Tests use the two seams and a clock; they await a condition, and none of them is left out or alone. */
export function badTestManners(files: readonly RepositoryFile[]): string[] {
  const rules: readonly (readonly [RegExp, string])[] = [
    [/\b(?:test|it|describe)\.only\(/g, "runs alone"],
    [/\b(?:test|it|describe)\.(?:skip|todo)\(/g, "is left out for ever: use skipIf and a title that ends in (needs X)"],
    [/\b(?:mock|jest|vi)\s*[.(]|\bspyOn\(/g, "mocks: fake a seam instead"],
    [/\bsetTimeout\(|\bBun\.sleep(?:Sync)?\(/g, "sleeps: await the condition"],
  ];
  return files.filter((file) => isTest(file) && !isHouse(file)).flatMap((file) =>
    rules.flatMap(([pattern, says]) => findInCode(file, pattern, `a test ${says}`)));
}

/** A test that may be skipped says in its title what it misses; the closing list prints it. */
export function silentSkips(files: readonly RepositoryFile[]): string[] {
  return files.filter((file) => isTest(file) && !isHouse(file)).flatMap((file) =>
    [...file.text.matchAll(/^\s*(?:test|it)\.(?:skipIf|if)\(.*?\)\((["'`])(.*?)\1,/gm)]
      .filter(([, , title = ""]) => !/\(needs .+\)$/.test(title) && !/\$\{[^}]+\}$/.test(title))
      .map((match) => `${file.path}:${lineAt(file.text, match.index + 1)}: "${match[2]}" does not end in (needs X)`));
}

const isHouse = (file: RepositoryFile): boolean => file.path.startsWith("tests/house/");
