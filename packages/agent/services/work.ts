/**
 * The elements in which what is wanted differs from what is there: units that are written as a whole or not at all.
 *
 *     10.96.0.10 tcp 80     there: goto inside4-3, 0 web-1, 1 web-2, 2 web-3       web-1 has gone
 *                           unit:  − 0 web-1   − 2 web-3   + 0 web-3   − goto inside4-3   + goto inside4-2
 *
 * An element that is only moved, or leads elsewhere now, goes on counting from where it was.
 */
import type { Element, KernelElement, NftSet, Part } from "@vethwork/linux";
import type { Frontend } from "./frontends.ts";
import type { Placed } from "./mirror.ts";
import { arrange } from "./order.ts";
import { plainSets, setsOf } from "./table.ts";
import { elementFrom } from "./texts.ts";

export interface Operation {
  set: NftSet;
  element: Element;
}

export interface Unit {
  deletes: readonly Operation[];
  adds: readonly Operation[];
  /** A frontend whose flows are to be forgotten. */
  closes?: Operation;
  /** Notes that it has been written. */
  done(): void;
}

/** The element with that key as the kernel has it now. */
export type Ask = (set: NftSet, key: readonly Part[]) => KernelElement | undefined;

export interface FrontendWork {
  key: string;
  wanted: Frontend | undefined;
  there: Placed | undefined;
  ask: Ask;
  /** Told how it stands, once it has been written. */
  place(now: Placed | undefined): void;
}

const NOTHING: Placed = { value: undefined, endpoints: [] };

/** undefined where nothing differs. */
export function frontendUnit({ key, wanted, there = NOTHING, ask, place }: FrontendWork): Unit | undefined {
  const { services, endpoints } = setsOf(key.includes(":") ? 6 : 4);
  const after = arrange(there.endpoints, wanted?.endpoints ?? []);
  const [deletes, adds]: [Operation[], Operation[]] = [[], []];
  const write = (set: NftSet, at: string, { before, now, from }: { before: string | undefined; now: string | undefined; from: string | undefined }): void => {
    if (before === now) return;
    if (before !== undefined) deletes.push({ set, element: elementFrom(set, at, "") });
    if (now !== undefined) adds.push({ set, element: { ...elementFrom(set, at, now), ...(from !== undefined && counterOf(ask, { set, at: from })) } });
  };
  for (let number = 0; number < Math.max(there.endpoints.length, after.length); number++) {
    const [before, now] = [there.endpoints[number], after[number]];
    if (before === now) continue;
    const was = now === undefined ? -1 : there.endpoints.indexOf(now);
    write(endpoints, `${key} ${number}`, { before, now, from: was < 0 ? undefined : `${key} ${was}` });
  }
  write(services, key, { before: there.value, now: wanted?.value, from: there.value === undefined ? undefined : key });
  if (deletes.length === 0 && adds.length === 0) return undefined;
  const isClosed = wanted === undefined && key.includes(" udp ");
  return { deletes, adds, ...(isClosed && { closes: closing(key) }), done: () => place(wanted && { value: wanted.value, endpoints: after }) };
}

/** Many passes are made until then. */
const CLOSED_SECONDS = 600;

function closing(key: string): Operation {
  const set = setsOf(key.includes(":") ? 6 : 4).closed;
  return { set, element: { ...elementFrom(set, key, ""), timeoutSeconds: CLOSED_SECONDS } };
}

function counterOf(ask: Ask, { set, at }: { set: NftSet; at: string }): Partial<Element> {
  const { key } = elementFrom(set, at, "");
  const there = Array.isArray(key) ? ask(set, key) : undefined;
  return there?.packets === undefined ? {} : { packets: there.packets, bytes: there.bytes ?? 0n };
}

export interface ItemWork {
  /** The name of its set. */
  set: string;
  key: string;
  wanted: string | undefined;
  there: string | undefined;
  place(now: string | undefined): void;
}

/** undefined where nothing differs. */
export function itemUnit({ set: name, key, wanted, there, place }: ItemWork): Unit | undefined {
  const set = SETS.get(name);
  if (wanted === there || !set) return undefined;
  return {
    deletes: there === undefined ? [] : [{ set, element: elementFrom(set, key, "") }],
    adds: wanted === undefined ? [] : [{ set, element: elementFrom(set, key, wanted) }],
    done: () => place(wanted),
  };
}

const SETS = new Map(plainSets().map((set) => [set.name, set]));
