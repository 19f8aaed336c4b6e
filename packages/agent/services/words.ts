/** What the names of chains say (./table.ts, nameOf), for people. */
const NAME = /^(guarded-)?(refuse|inside|outside)[46]?(?:-(\d+)-here)?.*?(?:-sticky-(\d+)s)?$/;

/** `outside4-1-here-3-in-all-sticky-60s`: clients from outside stay on this node and keep their address; … */
export function wordsOf(chain: string): string {
  const [, guarded, side, here, affinity] = NAME.exec(chain) ?? [];
  const outside = here === undefined ? "no client keeps its address" : "clients from outside stay on this node and keep their address";
  const words = { refuse: "refused, as nobody answers", inside: "pods of this node keep their address", outside } as const;
  return [
    ...(guarded === undefined ? [] : ["only for its source ranges"]),
    ...(side === "refuse" || side === "inside" || side === "outside" ? [words[side]] : [chain]),
    ...(affinity === undefined ? [] : [`a client is remembered for ${affinity} s`]),
  ].join("; ");
}
