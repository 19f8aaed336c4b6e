/** What is sent, explained by the tables that send it, without a kernel: kinds that this one lacks are seen here. */
import type { NetlinkSocket, Request } from "../netlink.ts";
import { GENL_ID, family } from "../uapi/genetlink.ts";
import { NLM_F } from "../uapi/netlink.ts";
import { encode } from "../wire/codec.ts";
import { explain } from "../wire/explain.ts";

/** A message that was to be sent. */
export interface Sent {
  type: number;
  flags: number;
  /** What explain() tells of it. */
  lines: string[];
}

/**
 * What some work asks the kernel for, which answers with the question: a link asked for by its index has that index. Who
 * goes through what the kernel has is told `answers`. Families of generic netlink have the number 31, and that they are asked for it is not told.
 */
export function sentBy(work: (socket: () => NetlinkSocket) => void, answers: readonly Uint8Array[] = []): Sent[] {
  const sent: Sent[] = [];
  const send = <T>({ type, flags = 0, codec, value }: Request<T>, more = 0): void =>
    void sent.push({ type, flags: flags | more, lines: explain(codec, encode(codec, value)).filter((line) => line !== "") });
  const socket: NetlinkSocket = {
    request: (request) => send(request),
    get: (request, decode) => {
      if (request.type === GENL_ID.CTRL) return decode(encode(family, { attrs: { FAMILY_ID: 31 } }));
      send(request);
      return decode(encode(request.codec, request.value).slice());
    },
    dump: (request) => {
      send(request, NLM_F.DUMP);
      return [];
    },
    visit: (request, visitor) => {
      send(request, NLM_F.DUMP);
      answers.forEach(visitor);
    },
    series: (requests) => {
      requests.forEach((request) => send(request));
      return [];
    },
    batch: (requests) => requests.forEach((request) => send(request)),
    [Symbol.dispose]: () => {},
  };
  work(() => socket);
  return sent;
}

/** The lines of each request that some work makes. */
export const requestsOf = (...given: Parameters<typeof sentBy>): string[] => sentBy(...given).flatMap(({ lines }) => lines);
