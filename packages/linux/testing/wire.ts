/** What is sent, explained by the tables that send it, without a kernel: kinds that this one lacks are seen here. */
import type { NetlinkSocket, Request } from "../netlink.ts";
import { GENL_ID, family } from "../uapi/genetlink.ts";
import { encode } from "../wire/codec.ts";
import { explain } from "../wire/explain.ts";

/** The lines of each request that some work makes; who goes through what the kernel has is told `answers`. Families of generic netlink have the number 31. */
export function requestsOf(work: (socket: () => NetlinkSocket) => void, answers: readonly Uint8Array[] = []): string[] {
  const lines: string[] = [];
  const keep = <T>({ codec, value }: Request<T>): void => void lines.push(...explain(codec, encode(codec, value)));
  const unwanted = (): never => {
    throw new TypeError("only a request is wanted");
  };
  work(() => ({
    request: keep,
    visit: (request, visitor) => {
      keep(request);
      answers.forEach(visitor);
    },
    series: (requests) => {
      requests.forEach(keep);
      return [];
    },
    get: (request, decode) => (request.type === GENL_ID.CTRL ? decode(encode(family, { attrs: { FAMILY_ID: 31 } })) : unwanted()),
    dump: unwanted, batch: unwanted, [Symbol.dispose]: () => {},
  }));
  return lines;
}
