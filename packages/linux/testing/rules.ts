/**
 * nftables in memory, behind the socket: it keeps what the kernel would keep, and refuses what the kernel would refuse, so that what
 * is sent can be looked at without root, ten thousand times a second. It knows no packets: who follows one asks it for rules and
 * elements, as of a kernel (../nft/machine.ts).
 *
 * Refused are: what is there twice or not at all (EEXIST, ENOENT), chains that something leads to (EBUSY). A batch is all or nothing.
 */
import { KernelError } from "../errors.ts";
import type { NetlinkSocket, Request } from "../netlink.ts";
import { NFTA_SET_ELEM, NFT_MSG, chain as chainMessage, generation, rule as ruleMessage, set as setMessage, setElements, table as tableMessage } from "../uapi/nf_tables.ts";
import { NFNL_SUBSYS } from "../uapi/nfnetlink.ts";
import { NLM_F } from "../uapi/netlink.ts";
import { encode, type Value } from "../wire/codec.ts";

type WireElement = Value<typeof NFTA_SET_ELEM>;
type WireRule = ReturnType<typeof ruleMessage.decode>["attrs"];

interface ModelTable {
  family: number;
  name: string;
  chains: Map<string, { attrs: ReturnType<typeof chainMessage.decode>["attrs"]; rules: WireRule[] }>;
  sets: Map<string, { attrs: ReturnType<typeof setMessage.decode>["attrs"]; elements: Map<string, WireElement> }>;
}

export interface RulesInMemory {
  socket: () => NetlinkSocket;
  /** How many operations were written so far. */
  written(): number;
}

const typeOf = (message: number): number => NFNL_SUBSYS.NFTABLES * 256 + message;

export function rulesInMemory(): RulesInMemory {
  const tables = new Map<string, ModelTable>();
  let [id, written] = [1, 0];

  const batch = (requests: readonly Request<unknown>[]): void => {
    const undo: (() => void)[] = [];
    try {
      for (const request of requests.slice(1, -1)) operate(tables, request, undo);
      checkReferences(tables);
      written += requests.length - 2;
      id += 1;
    } catch (error) {
      undo.toReversed().forEach((step) => step());
      throw error;
    }
  };

  const socket: NetlinkSocket = {
    batch,
    get: (request, decode) => {
      if (request.type === typeOf(NFT_MSG.GETGEN)) return decode(encode(generation, { attrs: { ID: id } }));
      const [found] = answersTo(tables, request);
      if (found) return decode(found);
      throw new KernelError(`Cannot ${request.what}`, "ENOENT");
    },
    dump: (request, decode) => answersTo(tables, request).map(decode),
    visit: (request, visitor) => answersTo(tables, request).forEach(visitor),
    request: (one) => batch([one, one, one]),
    series: () => [],
    [Symbol.dispose]: () => {},
  };
  return { socket: () => socket, written: () => written };
}

const keyOf = (family: number, name: string | undefined): string => `${family} ${name}`;

function tableOf(tables: Map<string, ModelTable>, { family, name, what }: { family: number; name: string | undefined; what: string }): ModelTable {
  const found = tables.get(keyOf(family, name));
  if (found) return found;
  throw new KernelError(`Cannot ${what}`, "ENOENT");
}

/** One operation of a batch, and how it is taken back. */
function operate(tables: Map<string, ModelTable>, { what, type, flags = 0, codec, value }: Request<unknown>, undo: (() => void)[]): void {
  const bytes = encode(codec, value).slice();
  const put = <K, V>(map: Map<K, V>, key: K, now: V | undefined): void => {
    const before = map.get(key);
    undo.push(() => void (before === undefined ? map.delete(key) : map.set(key, before)));
    if (now === undefined) map.delete(key);
    else map.set(key, now);
  };
  const absent = (): KernelError => new KernelError(`Cannot ${what}`, "ENOENT");
  const message = type - NFNL_SUBSYS.NFTABLES * 256;
  if (message === NFT_MSG.NEWTABLE || message === NFT_MSG.DELTABLE) {
    const { nfgen_family: family, attrs } = tableMessage.decode(bytes);
    const key = keyOf(family, attrs.NAME);
    if (message === NFT_MSG.DELTABLE && !tables.has(key)) throw absent();
    if (message === NFT_MSG.DELTABLE) put(tables, key, undefined);
    else if (!tables.has(key)) put(tables, key, { family, name: attrs.NAME ?? "", chains: new Map(), sets: new Map() });
  } else if (message === NFT_MSG.NEWCHAIN || message === NFT_MSG.DELCHAIN) {
    const { nfgen_family: family, attrs } = chainMessage.decode(bytes);
    const { chains } = tableOf(tables, { family, name: attrs.TABLE, what });
    const name = attrs.NAME ?? "";
    if (message === NFT_MSG.DELCHAIN && !chains.has(name)) throw absent();
    if (message === NFT_MSG.DELCHAIN) put(chains, name, undefined);
    else if (!chains.has(name)) put(chains, name, { attrs, rules: [] });
  } else if (message === NFT_MSG.NEWRULE || message === NFT_MSG.DELRULE) {
    const { nfgen_family: family, attrs } = ruleMessage.decode(bytes);
    const { chains } = tableOf(tables, { family, name: attrs.TABLE, what });
    const there = chains.get(attrs.CHAIN ?? "");
    if (!there) throw absent();
    put(chains, attrs.CHAIN ?? "", { ...there, rules: message === NFT_MSG.DELRULE ? [] : [...there.rules, attrs] });
  } else if (message === NFT_MSG.NEWSET || message === NFT_MSG.DELSET) {
    const { nfgen_family: family, attrs } = setMessage.decode(bytes);
    const { sets } = tableOf(tables, { family, name: attrs.TABLE, what });
    const name = attrs.NAME ?? "";
    if (message === NFT_MSG.DELSET) put(sets, name, undefined);
    else if (!sets.has(name)) put(sets, name, { attrs, elements: new Map() });
  } else {
    const { nfgen_family: family, attrs } = setElements.decode(bytes);
    const elements = tableOf(tables, { family, name: attrs.TABLE, what }).sets.get(attrs.SET ?? "")?.elements;
    if (!elements) throw absent();
    for (const element of attrs.ELEMENTS ?? []) {
      const key = elementKey(element);
      if (message === NFT_MSG.DELSETELEM && !elements.has(key)) throw absent();
      if (message === NFT_MSG.NEWSETELEM && (flags & NLM_F.EXCL) !== 0 && elements.has(key)) throw new KernelError(`Cannot ${what}`, "EEXIST");
      put(elements, key, message === NFT_MSG.NEWSETELEM ? element : undefined);
    }
  }
}

const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString("hex");
const elementKey = ({ KEY, KEY_END, FLAGS = 0 }: WireElement): string => `${hex(KEY?.VALUE)} ${hex(KEY_END?.VALUE)} ${FLAGS}`;

/** Everything that is led to has to be there. */
function checkReferences(tables: Map<string, ModelTable>): void {
  for (const { chains, sets } of tables.values()) {
    const check = (name: string | undefined): void => {
      if (name !== undefined && !chains.has(name)) throw new KernelError(`Cannot lead to chain "${name}"`, "EBUSY", { reason: "it is not there, or about to go" });
    };
    for (const { elements } of sets.values()) for (const { DATA } of elements.values()) check(DATA?.VERDICT?.CHAIN);
    for (const { rules } of chains.values()) for (const { EXPRESSIONS = [] } of rules) for (const one of EXPRESSIONS) if (one.kind === "immediate") check(one.data?.DATA?.VERDICT?.CHAIN);
  }
}

/** What is told of tables, chains, rules or elements. */
function answersTo(tables: Map<string, ModelTable>, { what, type, codec, value }: Request<unknown>): Uint8Array[] {
  const bytes = encode(codec, value).slice();
  const all = [...tables.values()];
  const message = type - NFNL_SUBSYS.NFTABLES * 256;
  if (message === NFT_MSG.GETTABLE) return all.map(({ family, name }) => encode(tableMessage, { nfgen_family: family, attrs: { NAME: name } }).slice());
  if (message === NFT_MSG.GETCHAIN) {
    return all.flatMap(({ family, chains }) => [...chains.values()].map(({ attrs }) => encode(chainMessage, { nfgen_family: family, attrs }).slice()));
  }
  if (message === NFT_MSG.GETRULE) {
    const { nfgen_family: family, attrs } = ruleMessage.decode(bytes);
    const { chains } = tableOf(tables, { family, name: attrs.TABLE, what });
    return [...chains].filter(([name]) => attrs.CHAIN === undefined || attrs.CHAIN === name).flatMap(([, { rules }]) => rules.map((rule) => encode(ruleMessage, { nfgen_family: family, attrs: rule }).slice()));
  }
  const { nfgen_family: family, attrs } = setElements.decode(bytes);
  const { TABLE = "", SET = "" } = attrs;
  const set = tableOf(tables, { family, name: TABLE, what }).sets.get(SET);
  if (!set) throw new KernelError(`Cannot ${what}`, "ENOENT");
  const [asked] = attrs.ELEMENTS ?? [];
  const found = asked ? [set.elements.get(elementKey(asked))].filter((one) => one !== undefined) : [...set.elements.values()];
  if (asked && found.length === 0) throw new KernelError(`Cannot ${what}`, "ENOENT");
  return portions(found).map((ELEMENTS) => encode(setElements, { nfgen_family: family, attrs: { TABLE, SET, ELEMENTS } }).slice());
}

function portions<T>(all: readonly T[]): T[][] {
  return Array.from({ length: Math.max(1, Math.ceil(all.length / 100)) }, (_, at) => all.slice(at * 100, (at + 1) * 100));
}

/** The queue of those who have lost to others, where there are no others. */
export const nobodyWaits = (): Disposable => new DisposableStack();
