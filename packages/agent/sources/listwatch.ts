/**
 * How the objects of a kind are followed at an API server (Kubernetes API concepts, "Efficient detection of changes"):
 *
 *     list, page by page ──▶ everything, as it was at version 4711
 *     watch from 4711    ──▶ a line for each change since; now and then only the version (a bookmark)
 *     … cut off, ended   ──▶ watch again from the last version that was heard
 *     … 410 Gone         ──▶ the server has forgotten that version: list again
 *
 * A page and a line are reduced to facts as soon as they are here, so what is held at once is a page.
 */
import { isObject, kindOf } from "@vethwork/cni";
import { textAt } from "../readers/reading.ts";
import { ApiError, type Access } from "./access.ts";
import type { Collection } from "./collection.ts";

/** The version is too old to go on from. */
export class Expired extends Error {
  override readonly name = "Expired";
}

/** So many objects at a time, unless their kind says else: about a megabyte of nodes. */
const PAGE = 100;
/** A page has to be here after that long, and a watch has to begin. */
const ANSWER_MS = 30_000;
/** Bookmarks come every minute: when nothing does, the connection is dead, whether it knows or not. */
const SILENCE_MS = 180_000;
/** How long the server is to keep up a watch: not the same for all agents, which would all come back at once. */
const WATCH_SECONDS = { least: 300, more: 300 };
const LONGEST_LINE = 16 * 1024 * 1024;

/** All objects come from the one server. */
const PLACE = "";

export interface Following {
  collection: Collection;
  access: Access;
  signal: AbortSignal;
  /** Something that is known is different. */
  onChange: () => void;
  /** What is wrong with single objects, by their names; kept up to date. */
  problems: Map<string, string>;
}

/** The server does not have the kind, and need not. */
export class Unknown extends Error {
  override readonly name = "Unknown";
}

/** Lists everything; gives the version that it is of. Unknown where there is no such kind, and that is all right. */
export async function list({ collection, access, signal, onChange, problems }: Following): Promise<string> {
  const draft = collection.draft(PLACE);
  const wrong = new Map<string, string>();
  let version = "";
  for (let next = ""; ; ) {
    const query = new URLSearchParams({ limit: String(collection.kind.page ?? PAGE), ...(next && { continue: next }) });
    const response = await listing(access, `${collection.kind.path}?${query}`, { kind: collection.kind, signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]) });
    const page: unknown = await response.json();
    if (!isObject(page) || !Array.isArray(page["items"])) throw new RangeError(`a list of ${collection.kind.kind} is no list`);
    for (const item of page["items"]) {
      const problem = draft.put(item);
      if (problem !== undefined) wrong.set(nameOf(item), problem);
    }
    version = textAt(page, "metadata", "resourceVersion");
    next = textAt(page, "metadata", "continue");
    if (next === "") break;
  }
  problems.clear();
  for (const [name, problem] of wrong) problems.set(name, problem);
  const isFirst = !collection.isSynced();
  collection.sync();
  if (draft.commit() || isFirst || wrong.size > 0) onChange();
  return version;
}

/** Follows changes until the server ends the watch; gives the version to go on from. `onOpen` is called once it has begun. */
export async function watch(following: Following, from: string, onOpen: () => void): Promise<string> {
  const { collection, access, signal } = following;
  const seconds = WATCH_SECONDS.least + Math.floor(Math.random() * WATCH_SECONDS.more);
  const query = new URLSearchParams({ watch: "1", allowWatchBookmarks: "true", resourceVersion: from, timeoutSeconds: String(seconds) });
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(new RangeError(`no answer within ${ANSWER_MS / 1000} s`)), ANSWER_MS);
  const heard = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(new RangeError(`nothing heard for ${SILENCE_MS / 1000} s`)), SILENCE_MS);
  };
  try {
    const response = await asking(access, `${collection.kind.path}?${query}`, AbortSignal.any([signal, silence.signal]));
    onOpen();
    let version = from;
    for await (const line of linesOf(response, heard)) version = apply(following, line) || version;
    return version;
  } finally {
    clearTimeout(timer);
    silence.abort();
  }
}

async function listing(access: Access, path: string, { kind, signal }: { kind: Collection["kind"]; signal: AbortSignal }): Promise<Response> {
  try {
    return await asking(access, path, signal);
  } catch (error) {
    if (kind.isRecent && error instanceof ApiError && error.status === 404) throw new Unknown(`there are no objects of kind ${kind.kind}`, { cause: error });
    throw error;
  }
}

async function asking(access: Access, path: string, signal: AbortSignal): Promise<Response> {
  try {
    return await access.request(path, { signal });
  } catch (error) {
    if (error instanceof ApiError && error.status === 410) throw new Expired(error.message, { cause: error });
    throw error;
  }
}

/** One line of a watch; gives the version that it brings us to, "" where it does not say. */
function apply({ collection, onChange, problems }: Following, line: string): string {
  const event = eventIn(line);
  const { type, object } = event;
  if (type === "ERROR") throw errorOf(object);
  const version = isObject(object) ? textAt(object, "metadata", "resourceVersion") : "";
  if (type === "BOOKMARK") return version;
  if (type !== "ADDED" && type !== "MODIFIED" && type !== "DELETED") return version; // of a kind that is yet to come
  const name = nameOf(object);
  const answer = type === "DELETED" ? collection.delete(PLACE, object) : collection.put(PLACE, object);
  const problem = typeof answer === "string" ? answer : undefined;
  const differs = answer === true || problems.get(name) !== problem;
  if (problem === undefined) problems.delete(name);
  else problems.set(name, problem);
  if (differs) onChange();
  return version;
}

function eventIn(line: string): { type: unknown; object: unknown } {
  const event: unknown = parsed(line);
  if (!isObject(event)) throw new RangeError(`a watch told ${kindOf(event)} (an event is wanted)`);
  return { type: event["type"], object: event["object"] };
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new RangeError(`a watch told ${JSON.stringify(line.slice(0, 60))} (JSON is wanted)`, { cause: error });
  }
}

/** A Status object (metav1): code 410 is what an expired version is told by in the middle of a watch. */
function errorOf(object: unknown): Expired | ApiError {
  const [code, message] = isObject(object) ? [Number(object["code"]), String(object["message"] ?? "")] : [0, "an error without words"];
  return code === 410 ? new Expired(message) : new ApiError(`in a watch: ${message}`, { status: code });
}

function nameOf(object: unknown): string {
  const metadata = isObject(object) ? object["metadata"] : undefined;
  return isObject(metadata) ? `${String(metadata["namespace"] ?? "")}/${String(metadata["name"] ?? "")}` : "";
}

async function* linesOf(response: Response, heard: () => void): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body ?? []) {
    heard();
    const lines = (text + decoder.decode(chunk, { stream: true })).split("\n");
    text = lines.pop() ?? "";
    if (text.length > LONGEST_LINE) throw new RangeError(`a watch told a line of more than ${LONGEST_LINE} bytes`);
    for (const line of lines) if (line.trim() !== "") yield line;
  }
}
