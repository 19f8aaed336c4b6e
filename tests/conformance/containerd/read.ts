/**
 * Reading answers whose shape was learnt at run time: a step at a time, each checked, so that an answer of another shape
 * says where it differs instead of giving `undefined` to a test.
 */

/** The value at the end of a path of field names; throws TypeError where the path leaves the object. */
export function at(value: unknown, ...path: readonly string[]): unknown {
  let here = value;
  for (const [depth, name] of path.entries()) {
    if (typeof here !== "object" || here === null || !(name in here)) {
      throw new TypeError(`Cannot find "${path.slice(0, depth + 1).join(".")}": no such field`);
    }
    here = new Map<string, unknown>(Object.entries(here)).get(name);
  }
  return here;
}

/** A string at the end of a path. */
export function text(value: unknown, ...path: readonly string[]): string {
  const found = at(value, ...path);
  if (typeof found !== "string") throw new TypeError(`Cannot read "${path.join(".")}": not a string`);
  return found;
}

/** A list at the end of a path. */
export function list(value: unknown, ...path: readonly string[]): unknown[] {
  const found = at(value, ...path);
  if (!Array.isArray(found)) throw new TypeError(`Cannot read "${path.join(".")}": not a list`);
  return found;
}

/** An entry of a protobuf map, which arrives as a list of key and value; undefined when it is not there. */
export function entry(value: unknown, key: string, ...path: readonly string[]): unknown {
  const found = list(value, ...path).find((pair) => at(pair, "key") === key);
  return found === undefined ? undefined : at(found, "value");
}
