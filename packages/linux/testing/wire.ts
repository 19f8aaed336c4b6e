/** What is sent, explained by the tables that send it, without a kernel: kinds that this one lacks are seen here. */
import type { NetlinkSocket, Request } from "../netlink.ts";
import { encode } from "../wire/codec.ts";
import { explain } from "../wire/explain.ts";

/** The lines of each request that some work makes. */
export function requestsOf(work: (rtnl: () => NetlinkSocket) => void): string[] {
  const lines: string[] = [];
  const unwanted = (): never => {
    throw new TypeError("only a request is wanted");
  };
  work(() => ({
    request: <T>({ codec, value }: Request<T>) => void lines.push(...explain(codec, encode(codec, value))),
    get: unwanted, dump: unwanted, batch: unwanted, [Symbol.dispose]: () => {},
  }));
  return lines;
}
