/**
 * Node's own modules, loaded when first used and not at import. A plugin is a process that lives for some milliseconds while a pod
 * waits: measured under Bun, loading `node:fs` costs about 1 ms, `node:child_process` 3 ms, `node:crypto` 6 ms, and VERSION or a
 * refused request needs none of them.
 */

export function fs(): typeof import("node:fs") {
  return process.getBuiltinModule("node:fs");
}

export function childProcess(): typeof import("node:child_process") {
  return process.getBuiltinModule("node:child_process");
}

export function paths(): typeof import("node:path") {
  return process.getBuiltinModule("node:path");
}

export function crypto(): typeof import("node:crypto") {
  return process.getBuiltinModule("node:crypto");
}
