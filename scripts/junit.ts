/**
 * What a test runner found, read from the report file that both bun and Node can write: JUnit's XML, the one format
 * they share; of tests in the virtual machine it is told in it, too. Only what their reporters really write is
 * understood: testcase elements, with a failure, an error or a skipped element inside. Their attributes come escaped,
 * so no general XML parser is needed.
 */

/** One test and how it ended. */
export interface Outcome {
  readonly verdict: "passed" | "failed" | "skipped";
  /** The names of its groups and its own, joined by " > ". */
  readonly title: string;
  /** As the reporter wrote it; empty where it does not say. */
  readonly file: string;
  /** Where the test stands, or, of a failed one, where it failed when the report tells; 0 is unknown. */
  readonly line: number;
  /** Of a failed test the first line of the error, of a skipped one its reason; may be empty. */
  readonly why: string;
}

const testcase = /<testcase((?:\s+[\w:-]+="[^"]*")*)\s*(?:\/>|>([\s\S]*?)<\/testcase>)/g;
const child = /<(failure|error|skipped)((?:\s+[\w:-]+="[^"]*")*)\s*(?:\/>|>([\s\S]*?)<\/\1>)/;

/** Every test of a report, in its order. A report cut short gives the tests that are whole. */
export function readJunit(xml: string): Outcome[] {
  return [...xml.matchAll(testcase)].map(([, attributes = "", body = ""]) => outcome(attributesOf(attributes), body));
}

/** The same the other way round, for who ran tests in another place and tells of them here. */
export function junitOf(outcomes: readonly Outcome[]): string {
  const cases = outcomes.map(({ verdict, title, file, line, why }) => {
    const about = { failed: `<failure message="${escape(why)}" />`, skipped: `<skipped message="${escape(why)}" />`, passed: "" }[verdict];
    return `<testcase name="${escape(title)}" file="${escape(file)}" line="${line}">${about}</testcase>\n`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n${cases.join("")}</testsuites>\n`;
}

const escape = (text: string): string => text.replace(/[&<>"'\n]/g, (char) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;" })[char] ?? "&#10;");

function outcome(attributes: ReadonlyMap<string, string>, body: string): Outcome {
  const group = attributes.get("classname") ?? "";
  const name = attributes.get("name") ?? "";
  const file = attributes.get("file") ?? "";
  const line = Number(attributes.get("line") ?? 0);
  const title = group === "" || group === "test" ? name : `${group} > ${name}`; // Node's groups are all called "test"

  const [, kind, childAttributes = "", text = ""] = child.exec(body) ?? [];
  if (kind === undefined) return { verdict: "passed", title, file, line, why: "" };
  const message = attributesOf(childAttributes).get("message") ?? "";
  if (kind === "skipped") return { verdict: "skipped", title, file, line, why: skipReason(title, message) };
  const place = placeOf(unescape(text), file);
  return { verdict: "failed", title, why: firstLine(message), file: place?.file ?? file, line: place?.line ?? line };
}

/** House convention: a title that ends in "(needs X)" says why the test could not run. Node can also carry a message. */
function skipReason(title: string, message: string): string {
  const needs = /\((needs [^()]+(?:\([^()]*\))?)\)$/.exec(title)?.[1];
  return needs ?? (message === "true" ? "" : message);
}

/** The innermost frame of a stack that is ours: in the test's own file when there is one. */
function placeOf(stack: string, file: string): { file: string; line: number } | undefined {
  const frames = [...stack.matchAll(/(?:file:\/\/)?([^\s():]+\.[cm]?[jt]s):(\d+)(?::\d+)?/g)]
    .map(([, path = "", line]) => ({ file: path, line: Number(line) }))
    .filter((frame) => !frame.file.startsWith("node:") && !frame.file.includes("node_modules"));
  return frames.find((frame) => file !== "" && frame.file.endsWith(file)) ?? frames[0];
}

function attributesOf(text: string): Map<string, string> {
  return new Map([...text.matchAll(/([\w:-]+)="([^"]*)"/g)].map(([, name = "", value = ""]) => [name, unescape(value)]));
}

function firstLine(text: string): string {
  return text.trim().split("\n")[0] ?? "";
}

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function unescape(text: string): string {
  return text.replace(/&(#x[0-9a-f]+|#\d+|\w+);/gi, (whole, name: string) => {
    if (name.startsWith("#x")) return String.fromCodePoint(Number.parseInt(name.slice(2), 16));
    if (name.startsWith("#")) return String.fromCodePoint(Number(name.slice(1)));
    return entities[name] ?? whole;
  });
}
