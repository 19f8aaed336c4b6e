/**
 * Generic netlink: families of messages that go by names, since there are more of them than numbers (genl(8)).
 *
 *     "wireguard" ──▶ the family of families ──▶ 31 ──▶ messages of type 31
 *
 * A family has the number that it was given when it came, at this boot: it is asked for once for each socket. Asking loads the
 * kernel's module, where there is one. What is asked for goes by `cmd`, in the head of the message.
 */
import type { NetlinkSocket, Request } from "./netlink.ts";
import { CTRL_CMD, GENL_ID, family as familyMessage } from "./uapi/genetlink.ts";

/** A request without its type: that is the family's number. */
type FamilyRequest<T> = Omit<Request<T>, "type">;

export interface GenericFamily {
  request<T>(request: FamilyRequest<T>): void;
  get<T, R>(request: FamilyRequest<T>, decode: (body: Uint8Array) => R): R;
  dump<T, R>(request: FamilyRequest<T>, decode: (body: Uint8Array) => R): R[];
}

/** @param socket a socket of NETLINK.GENERIC. The family is looked for when it is first asked: KernelError ENOENT where this kernel lacks it. */
export function genericFamily(socket: () => NetlinkSocket, name: string): GenericFamily {
  let number: number | undefined;
  const type = (): number => (number ??= numberOf(socket(), name));
  return {
    request: (one) => socket().request({ ...one, type: type() }),
    get: (one, decode) => socket().get({ ...one, type: type() }, decode),
    dump: (one, decode) => socket().dump({ ...one, type: type() }, decode),
  };
}

function numberOf(socket: NetlinkSocket, name: string): number {
  const value = { cmd: CTRL_CMD.GETFAMILY, version: 1, attrs: { FAMILY_NAME: name } };
  const request = { what: `find the kernel's "${name}"`, type: GENL_ID.CTRL, codec: familyMessage, value };
  return socket.get(request, (body) => familyMessage.decode(body).attrs.FAMILY_ID ?? 0);
}
