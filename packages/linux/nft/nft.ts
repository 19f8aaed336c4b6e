/**
 * nftables over netlink: no nft(8) process, and no version of one to agree with.
 *
 *     nft.transaction((change) => {
 *       change.ensureTable(table);
 *       change.ensureChain(postrouting);
 *       change.addRule({ chain: postrouting, words: [ip.saddr.eq(pods), masquerade] });
 *     });
 *
 * A transaction is done as a whole or not at all; the kernel's answer names the operation that was wrong. What is
 * decided from what was read is sent with the generation that it was read at: where another has changed the rule
 * set since, the kernel refuses (ERESTART), and update() reads and decides again. So no lock is needed, and none
 * could be had: nft(8), firewalld and kube-proxy would not take it.
 */
import { KernelError, isErrno, unless } from "../errors.ts";
import type { NetlinkSocket, Request } from "../netlink.ts";
import { NFT_MSG, chain as chainMessage, generation as generationMessage, rule as ruleMessage, setElements, signed, table as tableMessage } from "../uapi/nf_tables.ts";
import { NFNL_MSG_BATCH, NFNL_SUBSYS, NFPROTO, batchEdge } from "../uapi/nfnetlink.ts";
import type { Codec } from "../wire/codec.ts";
import { HOOKS, changesInto, typeOf, type Change } from "./change.ts";
import { kernelElement, type KernelElement } from "./elements.ts";
import type { Chain, NftSet, Table, TableFamily } from "./objects.ts";
import { FAMILIES, type KernelRule } from "./rule.ts";

export type { Change };

export interface Nft {
  /** Sends all that `build` asks for as one transaction; nothing is sent where it asks for nothing. */
  transaction(build: (change: Change) => void): void;
  /**
   * Reads, decides, changes: as transaction, but again from the start where another changed the rules meanwhile. Gives the
   * generation of the rules as they are then: while that stands, everything is as it was decided.
   */
  update(build: (change: Change, nft: Nft) => void): number;
  /** Counts the changes that anybody made to the rules of this namespace. */
  generation(): number;
  tables(): Table[];
  chains(family?: TableFamily): Chain[];
  findChain(chain: Chain): Chain | undefined;
  rules(chain: Chain): KernelRule[];
  /** Keys of the set's elements, as raw bytes; of an interval also the elements that mark its end. */
  elements(set: NftSet): Uint8Array[];
  /** The same elements with what else the kernel keeps of them. */
  entries(set: NftSet): KernelElement[];
}

const TRIES = 50;
const ABSENT = ["ENOENT"] as const;

/** @param socket the netfilter socket of the namespace whose rules are meant, opened when first used */
export function createNft(socket: () => NetlinkSocket): Nft {
  const dump = <T, R>(what: string, ask: { message: number; codec: Codec<T>; value: T }, decode: (body: Uint8Array) => R): R[] =>
    unless(ABSENT, () => socket().dump({ what, type: typeOf(ask.message), codec: ask.codec, value: ask.value }, decode)) ?? [];

  const generation = (): number => {
    const ask = { what: "get the generation of the rules", type: typeOf(NFT_MSG.GETGEN), codec: generationMessage, value: {} };
    return socket().get(ask, (body) => generationMessage.decode(body).attrs.ID ?? 0);
  };

  /** True if there was something to send. */
  const send = (build: (change: Change, nft: Nft) => void, GENID?: number): boolean => {
    const operations: Request<unknown>[] = [];
    build(changesInto(operations), nft);
    if (operations.length === 0) return false;
    const edge = { res_id: NFNL_SUBSYS.NFTABLES };
    const begin = { ...edge, attrs: { ...(GENID !== undefined && { GENID }) } };
    socket().batch([
      { what: "begin a change of rules", type: NFNL_MSG_BATCH.BEGIN, codec: batchEdge, value: begin },
      ...operations,
      { what: "end a change of rules", type: NFNL_MSG_BATCH.END, codec: batchEdge, value: edge },
    ]);
    return true;
  };

  const update = (build: (change: Change, nft: Nft) => void): number => {
    for (let tries = 0; tries < TRIES; tries++) {
      try {
        const before = generation();
        return send(build, before) ? before + 1 : before; // the kernel refuses if another one came in between
      } catch (error) {
        if (!isErrno(error, "ERESTART", "E85")) throw error;
      }
    }
    throw new KernelError("Cannot change the rules", "ERESTART", { reason: `others changed them during each of ${TRIES} tries` });
  };

  const nft: Nft = {
    transaction: (build) => void send(build),
    update,
    generation,
    tables: () => {
      const ask = { message: NFT_MSG.GETTABLE, codec: tableMessage, value: { nfgen_family: NFPROTO.UNSPEC } };
      return dump("list tables", ask, tableFrom).filter((table) => table !== undefined);
    },
    chains: (family) => {
      const ask = { message: NFT_MSG.GETCHAIN, codec: chainMessage, value: { nfgen_family: family ? FAMILIES[family] : 0 } };
      return dump("list chains", ask, chainFrom).filter((chain) => chain !== undefined);
    },
    findChain: ({ table, name }) => {
      const value = { nfgen_family: FAMILIES[table.family], attrs: { TABLE: table.name, NAME: name } };
      const request = { what: `get chain "${name}"`, type: typeOf(NFT_MSG.GETCHAIN), codec: chainMessage, value };
      return unless(ABSENT, () => socket().get(request, chainFrom));
    },
    rules: ({ table, name }) => {
      const value = { nfgen_family: FAMILIES[table.family], attrs: { TABLE: table.name, CHAIN: name } };
      return dump(`list rules of "${name}"`, { message: NFT_MSG.GETRULE, codec: ruleMessage, value }, ruleFrom);
    },
    elements: (set) => nft.entries(set).map(({ key }) => key),
    entries: ({ table, name }) => {
      const value = { nfgen_family: FAMILIES[table.family], attrs: { TABLE: table.name, SET: name } };
      const ask = { message: NFT_MSG.GETSETELEM, codec: setElements, value };
      return dump(`list elements of "${name}"`, ask, elementsFrom).flat();
    },
  };
  return nft;
}

function tableFrom(body: Uint8Array): Table | undefined {
  const { nfgen_family, attrs } = tableMessage.decode(body);
  const family = familyFrom(nfgen_family);
  return family && attrs.NAME !== undefined ? { family, name: attrs.NAME, ...(attrs.OWNER !== undefined && { owner: attrs.OWNER }) } : undefined;
}

function chainFrom(body: Uint8Array): Chain | undefined {
  const { nfgen_family, attrs } = chainMessage.decode(body);
  const family = familyFrom(nfgen_family);
  if (!family || attrs.TABLE === undefined || attrs.NAME === undefined) return undefined;
  const { HOOK, TYPE, POLICY } = attrs;
  const hook = keyOf(HOOKS, HOOK?.HOOKNUM);
  const type = keyOf({ filter: "filter", nat: "nat", route: "route" } as const, TYPE);
  const policy = POLICY === 0 ? ("drop" as const) : ("accept" as const);
  const base = hook && type && { type, hook, priority: signed(HOOK?.PRIORITY ?? 0), policy };
  return { table: { family, name: attrs.TABLE }, name: attrs.NAME, ...(base && { base }) };
}

function ruleFrom(body: Uint8Array): KernelRule {
  const { HANDLE = 0n, EXPRESSIONS = [], USERDATA } = ruleMessage.decode(body).attrs;
  return { handle: HANDLE, expressions: EXPRESSIONS, userdata: USERDATA };
}

function elementsFrom(body: Uint8Array): KernelElement[] {
  const { ELEMENTS = [] } = setElements.decode(body).attrs;
  return ELEMENTS.map(kernelElement).filter((element) => element !== undefined);
}

const familyFrom = (number: number): TableFamily | undefined => keyOf(FAMILIES, number);

function keyOf<K extends string, V>(table: Record<K, V>, value: V | undefined): K | undefined {
  for (const key in table) if (table[key] === value) return key;
  return undefined;
}
