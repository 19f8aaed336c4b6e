/** Rules and elements of a table as the kernel has them now, for who follows a packet through them (./machine.ts): read as far as it goes. */
import { cidrOf, contains, type Ip } from "../ip.ts";
import type { FoundElement, Rules } from "./machine.ts";
import type { Nft } from "./nft.ts";
import type { KernelElement, NftSet, Part, Table } from "./objects.ts";
import { isCidr, isIp, joined, lengthsOf, split, typesOf } from "./types.ts";

/** `sets` are those that rules may look into; of a table that is not there, nothing. */
export function rulesThere(nft: Nft, { table, sets, isLocal }: { table: Table; sets: readonly NftSet[]; isLocal: (ip: Ip) => boolean }): Rules {
  const byName = new Map(sets.map((set) => [set.name, set]));
  let rules: Map<string, ReturnType<Nft["rulesOf"]>> | undefined;
  return {
    isLocal,
    chain: (name) => (rules ??= Map.groupBy(nft.rulesOf(table), ({ chain }) => chain)).get(name) ?? [],
    find: (name, bytes) => {
      const set = byName.get(name);
      if (!set) throw new RangeError(`Cannot look into set "${name}" of table "${table.name}": nobody has told what it holds`);
      const types = typesOf(set.key);
      const key = split(types, bytes.subarray(0, lengthsOf(types).reduce((sum, length) => sum + length, 0)));
      const found = set.interval ? nft.elements(set).find((one) => covers(one.key, key)) : nft.findElement(set, key);
      return found && foundIn(set, found);
    },
  };
}

/** True where each part of the element is, or contains, the same part of the key. */
const covers = (element: readonly Part[], key: readonly Part[]): boolean =>
  element.every((part, at) => {
    const wanted = key[at];
    if (!isIp(wanted)) return part === wanted;
    return isCidr(part) ? contains(part, wanted) : isIp(part) && contains(cidrOf(part), wanted);
  });

function foundIn({ value: types }: NftSet, { value, comment }: KernelElement): FoundElement {
  const said = comment === undefined ? {} : { comment };
  if (value === undefined || types === undefined) return said;
  if (typeof value === "object" && "expressions" in value) {
    const [only] = value.expressions;
    const { CODE: code = 0, CHAIN: chain = "" } = (only?.kind === "immediate" ? only.data?.DATA?.VERDICT : undefined) ?? {};
    return { ...said, data: { code, chain } };
  }
  return types === "verdict" ? said : { ...said, data: joined(typesOf(types), typeof value === "object" && !("family" in value) && !("bytes" in value) ? value : [value]) };
}
