/**
 * A TypeScript file as the house rules see it: the same text with comments and the insides of strings blanked out, so
 * that a rule about code does not stumble over prose. Every character keeps its place: offsets and lines stay true.
 *
 * Not a parser. It knows where strings, templates, regular expressions and comments begin and end, and nothing else;
 * what needs a syntax tree (`any`, `as`, `!`) is left to oxlint, see lint.test.ts.
 */

/** After these a slash begins a regular expression; after anything else it divides. */
const beforeRegExp = /(?:^|[(,=:[!&|?{};+\-*%~^<>]|\b(?:return|typeof|case|in|of|await|yield|throw|default))\s*$/;

const seen = new Map<string, string>();

/** The text with comments and string contents turned to spaces; quotes and line ends stay. */
export function codeOf(text: string): string {
  const code = seen.get(text) ?? blanked(text);
  seen.set(text, code);
  return code;
}

function blanked(text: string): string {
  const out = text.split("");
  const blank = (from: number, to: number) => {
    for (let at = from; at < to; at++) if (out[at] !== "\n") out[at] = " ";
  };
  const templates: number[] = []; // how many braces are open inside each `${…}`
  let at = 0;
  while (at < text.length) {
    const end = endOfQuiet(text, at, out, templates);
    if (end === undefined) {
      at += 1;
      continue;
    }
    blank(at + end.open, end.at - end.close);
    at = end.at;
  }
  return out.join("");
}

/** Something that is not code: where it ends, and how many characters at its ends stay to be seen. */
interface Quiet {
  readonly at: number;
  readonly open: number;
  readonly close: number;
}

function endOfQuiet(text: string, at: number, out: readonly string[], templates: number[]): Quiet | undefined {
  const char = text.charAt(at);
  const pair = text.slice(at, at + 2);
  if (pair === "//" || (at === 0 && pair === "#!")) return { at: next(text, "\n", at), open: 0, close: 0 };
  if (pair === "/*") return { at: next(text, "*/", at + 2) + 2, open: 0, close: 0 };
  if (char === '"' || char === "'") return { at: endOfString(text, at + 1, char), open: 1, close: 1 };
  if (char === "`") return endOfTemplate(text, at, templates);
  if (char === "/" && beforeRegExp.test(out.slice(Math.max(0, at - 80), at).join(""))) {
    return { at: endOfRegExp(text, at + 1), open: 1, close: 1 };
  }
  const depth = templates.at(-1);
  if (depth === undefined) return undefined;
  if (char === "{") templates[templates.length - 1] = depth + 1;
  if (char === "}" && depth > 0) templates[templates.length - 1] = depth - 1;
  if (char === "}" && depth === 0) {
    templates.pop();
    return endOfTemplate(text, at, templates);
  }
  return undefined;
}

/** From a backtick, or from the brace that closes an insertion, to the next insertion or the closing backtick. */
function endOfTemplate(text: string, at: number, templates: number[]): Quiet {
  for (let to = at + 1; to < text.length; to++) {
    if (text[to] === "\\") to += 1;
    else if (text[to] === "`") return { at: to + 1, open: 1, close: 1 };
    else if (text[to] === "$" && text[to + 1] === "{") {
      templates.push(0);
      return { at: to + 2, open: 1, close: 2 };
    }
  }
  return { at: text.length, open: 1, close: 0 };
}

function endOfString(text: string, from: number, quote: string): number {
  for (let to = from; to < text.length; to++) {
    if (text[to] === "\\") to += 1;
    else if (text[to] === quote || text[to] === "\n") return to + 1;
  }
  return text.length;
}

function endOfRegExp(text: string, from: number): number {
  let inClass = false;
  for (let to = from; to < text.length; to++) {
    const char = text[to];
    if (char === "\\") to += 1;
    else if (char === "[") inClass = true;
    else if (char === "]") inClass = false;
    else if (char === "\n" || (char === "/" && !inClass)) return to + 1;
  }
  return text.length;
}

function next(text: string, what: string, from: number): number {
  const found = text.indexOf(what, from);
  return found < 0 ? text.length : found;
}

/** The line, counted from 1, that an offset lies in. */
export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}

/** Every place where a pattern fits the code of a file, as "path:line: what it says". */
export function findInCode(file: { path: string; text: string }, pattern: RegExp, says: string): string[] {
  const code = codeOf(file.text);
  return [...code.matchAll(pattern)].map((match) => `${file.path}:${lineAt(code, match.index)}: ${says}`);
}
