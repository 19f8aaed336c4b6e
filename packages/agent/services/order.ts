/**
 * The numbers of a frontend's endpoints: who has which, when some come and others go.
 *
 *     before   0 web-1   1 web-2   2 web-3
 *     web-1 goes, web-4 and web-5 come
 *     after    0 web-4   1 web-2   2 web-3   3 web-5        who stays keeps its number, and costs nothing
 *
 * The numbers of each group lie together, so that a range of them is who is to be picked from. Which number one has inside its group
 * depends on what was before, and means nothing: all of them are equally likely.
 */

/** The new order; `groups` are in the order in which their numbers follow each other. No text is twice among them. */
export function arrange(before: readonly (string | undefined)[], groups: readonly (readonly string[])[]): string[] {
  let from = 0;
  return groups.flatMap((group) => {
    const [begin, end] = [from, from + group.length];
    from = end;
    return inPlace(before.slice(begin, end), group);
  });
}

/** Who was in its group's part before keeps its place; the others fill what is left. */
function inPlace(before: readonly (string | undefined)[], group: readonly string[]): string[] {
  const wanted = new Set(group);
  const kept = before.map((one) => (one !== undefined && wanted.delete(one) ? one : undefined));
  const rest = [...wanted];
  const places = Array.from({ length: group.length }, (_, at) => kept[at] ?? rest.shift());
  return places.filter((one) => one !== undefined);
}
