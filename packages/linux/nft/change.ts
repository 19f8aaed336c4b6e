/**
 * A change of rules: operations in order, each one message of a transaction (see ./nft.ts for how it is sent).
 */
import type { Request } from "../netlink.ts";
import { NFT_MSG, chain as chainMessage, rule as ruleMessage, set as setMessage, setElements, table as tableMessage } from "../uapi/nf_tables.ts";
import { NFNL_SUBSYS, NF_INET } from "../uapi/nfnetlink.ts";
import { NLM_F } from "../uapi/netlink.ts";
import type { Codec } from "../wire/codec.ts";
import { describeSet, wireElements } from "./elements.ts";
import type { Chain, Element, Hook, NftSet, Rule, Table } from "./objects.ts";
import { FAMILIES, commentBytes, expressionsOf } from "./rule.ts";

export interface Change {
  ensureTable(table: Table): void;
  /** Deletes it with all that is in it. */
  deleteTable(table: Table): void;
  ensureChain(chain: Chain): void;
  /** Deletes every rule of the chain. */
  flushChain(chain: Chain): void;
  /** Deletes the chain and its rules. */
  deleteChain(chain: Chain): void;
  ensureSet(set: NftSet): void;
  deleteSet(set: NftSet): void;
  flushSet(set: NftSet): void;
  /** Fails with EEXIST where the set has one of the keys. */
  addElements(set: NftSet, elements: readonly Element[]): void;
  ensureElements(set: NftSet, elements: readonly Element[]): void;
  /** Fails with ENOENT where the set lacks one of the keys. */
  deleteElements(set: NftSet, elements: readonly Pick<Element, "key">[]): void;
  /** At the chain's end. */
  addRule(rule: Rule): void;
  /** At the chain's head. */
  insertRule(rule: Rule): void;
  deleteRule(chain: Chain, handle: bigint): void;
}

export const HOOKS = {
  prerouting: NF_INET.PRE_ROUTING,
  input: NF_INET.LOCAL_IN,
  forward: NF_INET.FORWARD,
  output: NF_INET.LOCAL_OUT,
  postrouting: NF_INET.POST_ROUTING,
} as const;

export const typeOf = (message: number): number => NFNL_SUBSYS.NFTABLES * 256 + message;
const { CREATE, EXCL, APPEND } = NLM_F;

/** The operations of a transaction, each as the message that it is. */
export function changesInto(operations: Request<unknown>[]): Change {
  const put = <T>(what: string, how: { message: number; flags?: number; codec: Codec<T>; value: T }): void => {
    const { message, flags = 0, codec, value } = how;
    operations.push({ what, type: typeOf(message), flags, codec, value });
  };
  const placed = (verb: string, rule: Rule, flags: number): void => {
    const { chain, comment } = rule;
    const value = ofRules(chain);
    const attrs = { ...value.attrs, EXPRESSIONS: expressionsOf(rule), ...userdataOf(rule) };
    put(`${verb} rule "${comment ?? ""}" of chain "${chain.name}"`, { message: NFT_MSG.NEWRULE, flags, codec: ruleMessage, value: { ...value, attrs } });
  };
  const putElements = (set: NftSet, elements: readonly Element[], flags: number): void => {
    for (const some of portions(elements)) {
      put(`add to set "${set.name}"`, { message: NFT_MSG.NEWSETELEM, flags, codec: setElements, value: ofElements(set, some) });
    }
  };
  return {
    ensureTable: (table) => {
      const value = ofTable(table);
      const attrs = { ...value.attrs, ...userdataOf(table) };
      put(`make table "${table.name}"`, { message: NFT_MSG.NEWTABLE, flags: CREATE, codec: tableMessage, value: { ...value, attrs } });
    },
    deleteTable: (table) =>
      put(`delete table "${table.name}"`, { message: NFT_MSG.DELTABLE, codec: tableMessage, value: ofTable(table) }),
    ensureChain: (chain) => {
      const value = ofChain(chain);
      const attrs = { ...value.attrs, ...(chain.base && baseOf(chain.base)), ...userdataOf(chain) };
      put(`make chain "${chain.name}"`, { message: NFT_MSG.NEWCHAIN, flags: CREATE, codec: chainMessage, value: { ...value, attrs } });
    },
    flushChain: (chain) =>
      put(`flush chain "${chain.name}"`, { message: NFT_MSG.DELRULE, codec: ruleMessage, value: ofRules(chain) }),
    deleteChain: (chain) => {
      put(`flush chain "${chain.name}"`, { message: NFT_MSG.DELRULE, codec: ruleMessage, value: ofRules(chain) });
      put(`delete chain "${chain.name}"`, { message: NFT_MSG.DELCHAIN, codec: chainMessage, value: ofChain(chain) });
    },
    ensureSet: (set) => {
      const value = ofSet(set);
      const attrs = { ...value.attrs, ...describeSet(set), ID: operations.length + 1 };
      put(`make set "${set.name}"`, { message: NFT_MSG.NEWSET, flags: CREATE, codec: setMessage, value: { ...value, attrs } });
    },
    deleteSet: (set) => put(`delete set "${set.name}"`, { message: NFT_MSG.DELSET, codec: setMessage, value: ofSet(set) }),
    flushSet: (set) =>
      put(`flush set "${set.name}"`, { message: NFT_MSG.DELSETELEM, codec: setElements, value: ofElements(set, []) }),
    addElements: (set, elements) => putElements(set, elements, CREATE | EXCL),
    ensureElements: (set, elements) => putElements(set, elements, CREATE),
    deleteElements: (set, elements) => {
      for (const some of portions(elements)) {
        put(`delete from set "${set.name}"`, { message: NFT_MSG.DELSETELEM, codec: setElements, value: ofElements(set, some) });
      }
    },
    addRule: (rule) => placed("add", rule, CREATE | APPEND),
    insertRule: (rule) => placed("insert", rule, CREATE),
    deleteRule: (chain, handle) => {
      const value = ofRules(chain);
      const attrs = { ...value.attrs, HANDLE: handle };
      put(`delete rule ${handle} of chain "${chain.name}"`, { message: NFT_MSG.DELRULE, codec: ruleMessage, value: { ...value, attrs } });
    },
  };
}

/** An attribute's length has 16 bits, and all elements of a message are in one: so many of the largest kind, with a comment and a note, still fit. */
const PORTION = 150;

function portions<E>(elements: readonly E[]): (readonly E[])[] {
  const count = Math.ceil(elements.length / PORTION);
  return Array.from({ length: count }, (_, at) => elements.slice(at * PORTION, (at + 1) * PORTION));
}

const userdataOf = ({ comment }: { comment?: string }) => (comment === undefined ? {} : { USERDATA: commentBytes(comment) });

function baseOf({ type, hook, priority, policy }: Hook) {
  const HOOK = { HOOKNUM: HOOKS[hook], PRIORITY: priority >>> 0 };
  return { TYPE: type, HOOK, ...(policy && { POLICY: policy === "drop" ? 0 : 1 }) };
}

const ofTable = ({ family, name }: Table) => ({ nfgen_family: FAMILIES[family], attrs: { NAME: name } });
const ofChain = ({ table, name }: Chain) => ({ nfgen_family: FAMILIES[table.family], attrs: { TABLE: table.name, NAME: name } });
const ofSet = ({ table, name }: NftSet) => ({ nfgen_family: FAMILIES[table.family], attrs: { TABLE: table.name, NAME: name } });
const ofRules = ({ table, name }: Chain) => ({ nfgen_family: FAMILIES[table.family], attrs: { TABLE: table.name, CHAIN: name } });
export const ofElements = (set: NftSet, elements: readonly Element[]) => ({
  nfgen_family: FAMILIES[set.table.family],
  attrs: {
    TABLE: set.table.name,
    SET: set.name,
    ...(elements.length > 0 && { ELEMENTS: elements.flatMap((element) => wireElements(set, element)) }),
  },
});
