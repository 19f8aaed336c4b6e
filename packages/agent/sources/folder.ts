/**
 * A folder of YAML as the cluster: for a machine without Kubernetes, for the lab, and for tests.
 *
 *     /etc/vethwork/cluster/nodes.yaml     Node objects, as `kubectl get nodes -o yaml` prints them, or by hand
 *                           more.json
 *
 * The folder is watched, and looked at every few seconds where watching does not work. A file counts once it has been left alone
 * for a moment, for it may be half written. What does not read is told, with its file and line, and what was known of it stays. So
 * does everything where the folder itself is gone: an empty cluster is an empty folder.
 */
import { readFileSync, readdirSync, statSync, watch, type FSWatcher } from "node:fs";
import { join } from "node:path";
import { isObject, messageOf } from "@vethwork/cni";
import { ignore, unless } from "@vethwork/linux";
import type { Clock } from "@vethwork/plugins/shared/clock.ts";
import type { Log } from "@vethwork/plugins/shared/log.ts";
import { createCollection, type Collection } from "./collection.ts";
import { documentsIn } from "./documents.ts";
import type { Source } from "./source.ts";

export interface FolderOptions {
  folder: string;
  clock: Clock;
  log: Log;
}

/** A file as it was when it was read. */
interface Read {
  stamp: string;
  problems: string[];
}

/** For so long nobody must have written to a file before it is read. */
const SETTLED_MS = 100;
/** After a change so many more are waited for: a hundred files copied are one change. */
const GATHER_MS = 20;
/** How often the folder is looked at without being told of a change. */
const LOOK_MS = 5_000;
/** … while it is not there: then nobody can tell. */
const MISSING_MS = 500;
const LARGEST = 64 * 1024 * 1024;

export function createFolderSource({ folder, clock, log }: FolderOptions): Source {
  const collections: Collection[] = [];
  const files = new Map<string, Read>();
  let folderProblem: string | undefined;
  let watched: { watcher: FSWatcher; identity: string } | undefined;
  let timer: Disposable | undefined;
  let onChange = (): void => {};
  let last = "";

  const problems = (): string[] =>
    [...(folderProblem === undefined ? [] : [folderProblem]), ...[...files.values()].flatMap((read) => read.problems), ...collections.flatMap((one) => one.doubles())];

  const lookIn = (ms: number): void => {
    timer?.[Symbol.dispose]();
    timer = clock.after(ms, look);
  };

  const watchIt = (identity: string): void => {
    if (watched?.identity === identity) return;
    watched?.watcher.close();
    watched = undefined;
    try {
      const watcher = watch(folder, () => lookIn(GATHER_MS));
      watcher.on("error", (error) => ignore(error, "the folder is looked at every few seconds, too"));
      watched = { watcher, identity };
    } catch (error) {
      ignore(error, "the folder is looked at every few seconds, too");
    }
  };

  /** Reads what is different; true where something may still be being written. */
  const readAll = (): { changed: boolean; unsettled: boolean } => {
    watchIt(identityOf(folder)); // before it is read: what changes meanwhile is told
    const found = new Map(entriesOf(folder));
    let changed = false;
    let unsettled = false;
    for (const name of files.keys()) if (!found.has(name)) changed = forget(name) || changed;
    for (const [name, { stamp, age }] of found) {
      if (files.get(name)?.stamp === stamp) continue;
      if (age >= 0 && age < SETTLED_MS) unsettled = true;
      else changed = readFile(name, stamp) || changed;
    }
    return { changed, unsettled };
  };

  const forget = (name: string): boolean => {
    files.delete(name);
    return collections.map((one) => one.drop(name)).includes(true);
  };

  const readFile = (name: string, stamp: string): boolean => {
    const drafts = collections.map((collection) => ({ collection, draft: collection.draft(name) }));
    const found: string[] = [];
    const complain = (what: string): void => {
      found.push(`${join(folder, name)}: ${what}`);
      log("warning", "file does not read", { file: join(folder, name), why: what });
    };
    for (const document of contentOf(join(folder, name))) {
      if ("problem" in document) {
        complain(document.problem);
        for (const { draft } of drafts) draft.keepRest();
        continue;
      }
      const { line, value } = document;
      const wrong = isObject(value) && typeof value["kind"] === "string"
        ? drafts.find(({ collection: { kind } }) => kind.kind === value["kind"] && kind.apiVersion === value["apiVersion"])?.draft.put(value)
        : "this is no object of Kubernetes (apiVersion, kind and metadata are wanted)";
      if (wrong !== undefined) complain(`line ${line}: ${wrong}`);
    }
    files.set(name, { stamp, problems: found });
    return drafts.map(({ draft }) => draft.commit()).includes(true);
  };

  const look = (): void => {
    let changed = false;
    let unsettled = false;
    try {
      ({ changed, unsettled } = readAll());
      folderProblem = undefined;
    } catch (error) {
      folderProblem = `folder ${folder} cannot be read: ${messageOf(error)}`;
    }
    if (folderProblem === undefined && !unsettled && !collections.every((one) => one.isSynced())) {
      for (const one of collections) one.sync();
      changed = true;
    }
    const now = problems().join("\n");
    const differs = changed || now !== last;
    last = now;
    lookIn(unsettled ? SETTLED_MS : folderProblem === undefined ? LOOK_MS : MISSING_MS);
    if (differs) onChange();
  };

  return {
    follow: (kind) => {
      const collection = createCollection(kind);
      collections.push(collection);
      return collection;
    },
    start: (act) => {
      onChange = act;
      look();
    },
    status: () => ({ name: `folder ${folder}`, isSynced: collections.every((one) => one.isSynced()), problems: problems() }),
    publish: (node, facts) => {
      log("info", "this node has something to tell the others, and a folder is written by people", { node, ...facts });
      return Promise.resolve();
    },
    setAvailable: (node) => {
      log("debug", "nobody asks in a folder whether a network is there", { node });
      return Promise.resolve();
    },
    [Symbol.asyncDispose]: () => {
      timer?.[Symbol.dispose]();
      watched?.watcher.close();
      return Promise.resolve();
    },
  };
}

const identityOf = (path: string): string => {
  const { dev, ino } = statSync(path);
  return `${dev}:${ino}`;
};

/** Files by their names, with a stamp that a change changes, and how long ago that was. Names with a dot in front are others' business. */
function entriesOf(folder: string): [string, { stamp: string; age: number }][] {
  const names = readdirSync(folder).filter((name) => /^[^.].*\.(?:ya?ml|json)$/.test(name)).sort();
  return names.flatMap((name): [string, { stamp: string; age: number }][] => {
    const facts = unless(["ENOENT", "ELOOP"], () => statSync(join(folder, name)));
    if (!facts?.isFile()) return [];
    const { dev, ino, size, mtimeMs } = facts;
    return [[name, { stamp: `${dev}:${ino}:${size}:${mtimeMs}`, age: Date.now() - mtimeMs }]];
  });
}

/** A file's documents; one with a problem where it cannot be read at all. */
function contentOf(path: string): ReturnType<typeof documentsIn> {
  try {
    const { size } = statSync(path);
    if (size > LARGEST) return [{ line: 1, problem: `${size} bytes (at most ${LARGEST} are read)` }];
    return documentsIn(readFileSync(path, "utf8"));
  } catch (error) {
    return [{ line: 1, problem: messageOf(error) }];
  }
}
