/**
 * A rehearsal: whoever changes a namespace by such sockets is told that it is done, and nothing is. What would be changed is then
 * seen by what he says of it.
 *
 *     ask    ──▶ the kernel's own answer
 *     change ──▶ "done"; a link that was to be made is there from then on, for who asks for it by its name or for all links
 *
 * Of a link that is only promised the kernel knows nothing else: what is on it is nothing.
 */
import { unless } from "./errors.ts";
import type { NetlinkSocket } from "./netlink.ts";
import { NLM_F } from "./uapi/netlink.ts";
import { RTM } from "./uapi/rtnetlink.ts";
import { encode } from "./wire/codec.ts";

/** Promised links have numbers that no kernel gives so soon. */
const FIRST_PROMISED = 0x7000_0000;

/** The socket of a rehearsal in the place of a namespace's own. */
export function rehearsing(socket: NetlinkSocket): NetlinkSocket {
  const answers = new Map<string, Uint8Array>(); // of promised links, by their names
  return {
    request: (one) => {
      const name = nameIn(one.value);
      if (one.type === RTM.NEWLINK && ((one.flags ?? 0) & NLM_F.CREATE) !== 0) {
        answers.set(name, encode(one.codec, Object.assign({}, one.value, { ifi_index: FIRST_PROMISED + answers.size })).slice());
      }
      // Who deletes wants to know whether there was anything.
      if (one.type === RTM.DELLINK && !answers.delete(name)) socket.get({ ...one, type: RTM.GETLINK, flags: 0 }, () => undefined);
    },
    get: (one, decode) => {
      const answer = one.type === RTM.GETLINK ? answers.get(nameIn(one.value)) : undefined;
      return answer ? decode(answer) : socket.get(one, decode);
    },
    dump: (one, decode) => {
      const there = unless(["ENODEV"], () => socket.dump(one, decode)) ?? [];
      return one.type === RTM.GETLINK ? [...there, ...[...answers.values()].map(decode)] : there;
    },
    visit: (one, visitor) => socket.visit(one, visitor),
    batch: () => {},
    series: () => [],
    [Symbol.dispose]: () => socket[Symbol.dispose](),
  };
}

/** The name of the link that a message is about; "" where it names none. */
function nameIn(value: unknown): string {
  const attrs = typeof value === "object" && value !== null && "attrs" in value ? value.attrs : undefined;
  return typeof attrs === "object" && attrs !== null && "IFNAME" in attrs && typeof attrs.IFNAME === "string" ? attrs.IFNAME : "";
}
