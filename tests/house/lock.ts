/** The lock file: what is installed is what was looked at, byte for byte, wherever it comes from. */
import { find, isObject, type JsonObject } from "@vethwork/cni";

/** Packages of the lock file that a registry could replace by others, or that nobody can look up again. */
export function looseInLock(lock: JsonObject): string[] {
  const packages = find(lock, "packages");
  if (!isObject(packages)) return ["the lock file lists no packages"];
  return Object.entries(packages).flatMap(([place, told]) => {
    if (!place.includes("node_modules/") || !isObject(told) || told["link"] === true) return []; // ours
    const { integrity, version, resolved } = told;
    return [
      ...(typeof integrity === "string" && integrity.startsWith("sha512-") ? [] : [`${place} has no digest`]),
      ...(typeof version === "string" && EXACT.test(version) ? [] : [`${place} has no version`]),
      ...(resolved === undefined ? [] : [`${place} says where it was downloaded from`]),
    ];
  });
}

/** Dependencies that name more than one version. */
export function looseDependencies(manifest: JsonObject): string[] {
  return ["dependencies", "devDependencies", "optionalDependencies"].flatMap((section) => {
    const wanted = manifest[section];
    return Object.entries(isObject(wanted) ? wanted : {}).filter(([, version]) => typeof version !== "string" || !EXACT.test(version)).map(([name, version]) => `${section}: ${name} ${String(version)}`);
  });
}

const EXACT = /^\d+\.\d+\.\d+(-[\w.]+)?$/;
