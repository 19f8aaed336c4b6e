/**
 * Objects in a text, as people write them for kubectl: YAML with several documents, JSON, Lists of objects; each with its line.
 *
 *     line 1  apiVersion: v1            ─▶ { line: 1, value: … }
 *          …  ---
 *     line 9  apiVersion: v1            ─▶ { line: 9, problem: "line 11: bad indentation of a mapping entry" }
 *
 * A line that begins with `---` ends a document wherever it stands (YAML 1.2.2, section 9.1.2), so the text is cut there, and a
 * document that does not read takes none of the others with it.
 */
import { isObject } from "@vethwork/cni";
import { YAMLException, loadAll } from "js-yaml";

export type Document = { line: number; value: unknown } | { line: number; problem: string };

export function documentsIn(text: string): Document[] {
  const json = jsonIn(text);
  if (json !== undefined) return json.map((value) => ({ line: 1, value }));
  return chunksOf(text).flatMap(({ line, chunk }): Document[] => {
    try {
      return loadAll(chunk).filter((value) => value !== null && value !== undefined).flatMap(unlisted).map((value) => ({ line, value }));
    } catch (error) {
      if (!(error instanceof YAMLException)) throw error;
      return [{ line, problem: `line ${line + (error.mark?.line ?? 0)}: ${error.reason}` }];
    }
  });
}

/** What is JSON is read as that, which takes a tenth of the time; what only looks like it is for the YAML parser to complain about. */
function jsonIn(text: string): unknown[] | undefined {
  if (!/^\s*[{[]/.test(text)) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return unlisted(value);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** A List of objects, as `kubectl get -o yaml` prints it, is its objects. */
function unlisted(value: unknown): unknown[] {
  return isObject(value) && value["kind"] === "List" && Array.isArray(value["items"]) ? value["items"] : [value];
}

/** The documents' texts, and where each begins. What has only comments and directives (`%YAML 1.2`) is none. */
function chunksOf(text: string): { line: number; chunk: string }[] {
  const chunks: { line: number; chunk: string }[] = [];
  let line = 1;
  for (const chunk of text.split(/^(?=---(?:\s|$))/m)) {
    const begin = /^(?:---\s*\n|\s*\n|\s*#.*\n)*/.exec(chunk)?.[0] ?? "";
    const skipped = begin.split("\n").length - 1;
    if (/^(?!\s*(?:#|%|---\s*$|$))/m.test(chunk)) chunks.push({ line: line + skipped, chunk: chunk.slice(begin.length) });
    line += chunk.split("\n").length - 1;
  }
  return chunks;
}
