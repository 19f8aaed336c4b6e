/**
 * Who may know whom. The arrows of the architecture:
 *
 *     cli ──► lab ──► agent ──► plugins/shared
 *                       │            │
 *                       └────────────┴──► plugins ──► cni, linux ──► nothing of ours
 *
 * A plugin author takes `cni` without our kernel library, a network tool takes `linux` without CNI; both stay true only
 * while nobody adds one convenient import.
 */
import { posix } from "node:path";
import type { RepositoryFile } from "./files.ts";
import { codeOf, lineAt } from "./source.ts";

/** Package → what it may import of ours, by package or by folder of one. A package may always import itself. */
export const arrows: Readonly<Record<string, readonly string[]>> = {
  cni: [],
  linux: [],
  plugins: ["cni", "linux"],
  agent: ["cni", "linux", "plugins/shared"],
  lab: ["cni", "linux", "plugins", "agent"],
  cli: ["cni", "linux", "plugins", "agent", "lab"],
};

export interface Import {
  readonly from: string;
  readonly line: number;
  /** As written. */
  readonly specifier: string;
  /** Ours as "package/path", anything else undefined. */
  readonly ours: string | undefined;
}

/** Every static, dynamic and type import, and every export from elsewhere. */
export function importsOf(file: RepositoryFile): Import[] {
  const code = codeOf(file.text);
  const places = code.matchAll(/\b(?:from|import|require)\s*\(?\s*(["'])(\s*)\1/g);
  return [...places].map((match) => {
    const begin = match.index + match[0].length - 1 - (match[2] ?? "").length;
    const specifier = file.text.slice(begin, begin + (match[2] ?? "").length);
    return { from: file.path, line: lineAt(code, match.index), specifier, ours: resolveOurs(file.path, specifier) };
  });
}

function resolveOurs(from: string, specifier: string): string | undefined {
  const named = /^@vethwork\/(.+)$/.exec(specifier)?.[1];
  if (named !== undefined) return named;
  if (!specifier.startsWith(".")) return undefined;
  const path = posix.join(posix.dirname(from), specifier);
  return /^packages\/(.+)$/.exec(path)?.[1];
}

const packageOf = (path: string): string => path.split("/")[0] ?? "";

/** Imports that go against the arrows. */
export function againstArrows(files: readonly RepositoryFile[]): string[] {
  return files.filter((file) => file.path.startsWith("packages/")).flatMap((file) => {
    const home = packageOf(file.path.slice("packages/".length));
    const allowed = arrows[home];
    if (allowed === undefined) return [`${file.path}:1: package ${home} has no place in the arrows of tests/house/imports.ts`];
    return importsOf(file)
      .filter(({ ours }) => ours !== undefined && packageOf(ours) !== home)
      .filter(({ ours }) => !allowed.some((target) => ours === target || ours?.startsWith(`${target}/`)))
      .map(({ line, ours }) => `${file.path}:${line}: ${home} may not import ${ours} (only ${allowed.join(", ") || "itself"})`);
  });
}

/** Packages that reach themselves through others. */
export function packageCycles(files: readonly RepositoryFile[]): string[] {
  const edges = new Map<string, Set<string>>();
  for (const one of files.filter((file) => file.path.startsWith("packages/")).flatMap(importsOf)) {
    const home = packageOf(one.from.slice("packages/".length));
    if (one.ours === undefined || packageOf(one.ours) === home) continue;
    edges.set(home, (edges.get(home) ?? new Set()).add(packageOf(one.ours)));
  }
  const reach = (from: string, seen: Set<string>): Set<string> => {
    for (const to of edges.get(from) ?? []) if (!seen.has(to)) reach(to, seen.add(to));
    return seen;
  };
  return [...edges.keys()].filter((home) => reach(home, new Set()).has(home)).map((home) => `package ${home} imports itself through others`);
}

/** bun:ffi calls into C with whatever it is given: one file checks ranges and errno for all. */
export function ffiElsewhere(files: readonly RepositoryFile[]): string[] {
  return files
    .filter((file) => file.path !== "packages/linux/libc.ts")
    .flatMap(importsOf)
    .filter(({ specifier }) => specifier === "bun:ffi")
    .map(({ from, line }) => `${from}:${line}: only packages/linux/libc.ts imports bun:ffi`);
}

/** `cni` runs on Node as well: nothing of bun in it. */
export function bunInCni(files: readonly RepositoryFile[]): string[] {
  return files.filter((file) => file.path.startsWith("packages/cni/") && !file.path.endsWith(".test.ts")).flatMap((file) => [
    ...importsOf(file).filter(({ specifier }) => /^bun(?::|$)/.test(specifier))
      .map(({ line, specifier }) => `${file.path}:${line}: cni runs on Node, which has no ${specifier}`),
    ...[...codeOf(file.text).matchAll(/\bBun\./g)]
      .map((match) => `${file.path}:${lineAt(file.text, match.index)}: cni runs on Node, which has no Bun`),
  ]);
}

/** The runtime resolves what is written: own files with their ending, Node's modules with their prefix. */
export function badSpecifiers(files: readonly RepositoryFile[]): string[] {
  return files.flatMap(importsOf)
    .filter(({ specifier }) => specifier.startsWith(".") && !/\.(?:ts|json|txt|html|css)$/.test(specifier))
    .map(({ from, line, specifier }) => `${from}:${line}: "${specifier}" lacks its ending .ts`);
}
