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
 * could be had: nft(8), firewalld and kube-proxy would not take it. But in a crowd of hundreds of our own somebody loses
 * every time, so whoever has lost often queues with those who have, too, and is quicker than who has yet to look.
 */
import { KernelError, unless } from "../errors.ts";
import type { NetlinkSocket, Request } from "../netlink.ts";
import { pause } from "../pause.ts";
import { NFT_MSG, chain as chainMessage, expressions, generation as generationMessage, foundRule, rule as ruleMessage, setElements, signed, table as tableMessage } from "../uapi/nf_tables.ts";
import { NFNL_MSG_BATCH, NFNL_SUBSYS, NFPROTO, batchEdge } from "../uapi/nfnetlink.ts";
import type { Codec } from "../wire/codec.ts";
import { HOOKS, changesInto, ofElements, typeOf, type Change } from "./change.ts";
import { commentedIn, elementsFrom, keysIn } from "./elements.ts";
import type { Chain, KernelElement, Key, NftSet, Table, TableFamily } from "./objects.ts";
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
  /** The rules of all chains of the table, in the order of chains. */
  rulesOf(table: Table): (KernelRule & { chain: string })[];
  elements(set: NftSet): KernelElement[];
  /** Hands on each element as it comes, and keeps none: of what there may be a hundred thousand. It is told of some twice where another changes the set meanwhile. */
  readElements(set: NftSet, visitor: (element: KernelElement) => void): void;
  /** The elements whose comment begins so; the others, of which there may be many, are counted and not read. */
  elementsOf(set: NftSet, beginning: string): { found: KernelElement[]; others: number };
  /** The element with that key; the others are not read. */
  findElement(set: NftSet, key: Key): KernelElement | undefined;
}

/** How long to try anew, when it is one's turn, where others change the rules all the time; before that so often, and a pause in between. */
const PATIENCE_MS = 10_000;
const QUEUE_AFTER = 3;
const ABSENT = ["ENOENT"] as const;
/** A set grows by the double, each time in some milliseconds. */
const GROWTHS = 20;

/**
 * @param socket the netfilter socket of the namespace whose rules are meant, opened when first used
 * @param queue waits for one's turn among those who have lost often, and gives the end of it
 */
export function createNft(socket: () => NetlinkSocket, queue: () => Disposable): Nft {
  const dump = <T, R>(what: string, ask: { message: number; codec: Codec<T>; value: T }, decode: (body: Uint8Array) => R): R[] =>
    unless(ABSENT, () => socket().dump({ what, type: typeOf(ask.message), codec: ask.codec, value: ask.value }, decode)) ?? [];

  const dumpOnce = <R>(set: NftSet, decode: (body: Uint8Array) => R): R[] =>
    dump(`list elements of "${set.name}"`, { message: NFT_MSG.GETSETELEM, codec: setElements, value: ofElements(set, []) }, decode);

  /**
   * The kernel tells a set by position, and a hash table that grows meanwhile, in the background, changes positions: as many elements as it
   * then tells twice it does not tell at all (net/netfilter/nft_set_hash.c). So one that comes twice is the sign to ask again.
   */
  const dumpElements = <R>(set: NftSet, decode: (body: Uint8Array) => R): R[] => {
    for (let tries = 1; ; tries++) {
      const keys = new Set<string>();
      let count = 0;
      const parts = dumpOnce(set, (body) => {
        const told = set.interval ? [] : keysIn(body);
        for (const key of told) keys.add(key);
        count += told.length;
        return decode(body);
      });
      if (keys.size === count) return parts;
      if (tries === GROWTHS) throw new KernelError(`Cannot list elements of "${set.name}"`, "EINTR", { reason: `it grew during each of ${tries} dumps` });
      pause(tries);
    }
  };

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
    for (let tries = 1; tries <= QUEUE_AFTER; tries++) {
      const after = tried(build);
      if (after !== undefined) return after;
      if (tries > 2) pause(Math.random() * tries);
    }
    using _turn = queue();
    const deadline = performance.now() + PATIENCE_MS;
    for (let tries = QUEUE_AFTER + 1; ; tries++) {
      const after = tried(build);
      if (after !== undefined) return after;
      if (performance.now() > deadline) throw new KernelError("Cannot change the rules", "ERESTART", { reason: `others changed them during each of ${tries} tries` });
    }
  };

  /** The generation afterwards; undefined where another has changed the rules meanwhile. */
  const tried = (build: (change: Change, nft: Nft) => void): number | undefined => {
    const before = generation();
    return unless(["ERESTART"], () => (send(build, before) ? before + 1 : before));
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
    rulesOf: (table) => {
      const value = { nfgen_family: FAMILIES[table.family], attrs: { TABLE: table.name } };
      return dump(`list rules of table "${table.name}"`, { message: NFT_MSG.GETRULE, codec: ruleMessage, value }, ruleFrom);
    },
    elements: (set) => elementsFrom(set, dumpElements(set, elementsIn).flat()),
    readElements: (set, visitor) => {
      // The parts of a plain interval are two elements, which may come in two messages.
      const isWhole = set.interval !== true || typeof set.key !== "string";
      if (isWhole) dumpOnce(set, (body) => elementsFrom(set, elementsIn(body)).forEach(visitor));
      else nft.elements(set).forEach(visitor);
    },
    elementsOf: (set, beginning) => {
      const parts = dumpElements(set, (body) => commentedIn(body, beginning));
      const found = elementsFrom(set, parts.flatMap((part) => part.found)).filter(({ comment = "" }) => comment.startsWith(beginning));
      return { found, others: parts.reduce((sum, { count }) => sum + count, 0) - found.length };
    },
    findElement: (set, key) => {
      const request = { what: `find an element of "${set.name}"`, type: typeOf(NFT_MSG.GETSETELEM), codec: setElements, value: ofElements(set, [{ key }]) };
      return elementsFrom(set, unless(ABSENT, () => socket().get(request, elementsIn)) ?? [])[0];
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

function ruleFrom(body: Uint8Array): KernelRule & { chain: string } {
  const { HANDLE = 0n, EXPRESSIONS = new Uint8Array(), USERDATA, CHAIN = "" } = foundRule.decode(body).attrs;
  let read: KernelRule["expressions"] | undefined;
  return { handle: HANDLE, get expressions() { return read ??= expressions.read(EXPRESSIONS); }, userdata: USERDATA, chain: CHAIN };
}

const elementsIn = (body: Uint8Array) => setElements.decode(body).attrs.ELEMENTS ?? [];

const familyFrom = (number: number): TableFamily | undefined => keyOf(FAMILIES, number);

function keyOf<K extends string, V>(table: Record<K, V>, value: V | undefined): K | undefined {
  for (const key in table) if (table[key] === value) return key;
  return undefined;
}
