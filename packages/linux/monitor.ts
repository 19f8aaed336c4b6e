/**
 * Being told when somebody changes a namespace's network (rtnetlink(7), multicast groups).
 *
 *     ip route del 10.244.2.0/24 ──▶ kernel ──▶ everybody in the group IPV4_ROUTE ──▶ onChange(["route"])
 *
 * It says that something changed and not what it is like now: who wants to know that looks. For one who compares what is with what
 * should be that is all there is to know, and one look serves for many changes. Between changes it costs nothing: the runtime's
 * own loop waits for the socket, with all others that it has. (Not in the package's door: what imports Node's streams starts later.)
 */
import { connect, type Socket } from "node:net";
import { ignore } from "./errors.ts";
import { bind, closeFile, setSocketOption, socket } from "./libc.ts";
import { answersIn } from "./netlink.ts";
import type { Netns } from "./netns.ts";
import { NFT_MSG } from "./uapi/nf_tables.ts";
import { NUD, ndmsg } from "./uapi/neighbour.ts";
import { NETLINK } from "./uapi/netlink.ts";
import { NFNLGRP, NFNL_SUBSYS } from "./uapi/nfnetlink.ts";
import { RTM, RTNLGRP } from "./uapi/rtnetlink.ts";
import { AF, SO, SOCK, SOL } from "./uapi/socket.ts";
import { encode, pad, struct, u16, u32 } from "./wire/codec.ts";

/** What changed. "lost": so much that the kernel could not tell all of it, so anything may have changed. */
export type Changed = "link" | "address" | "route" | "rule" | "neighbour" | "nftables" | "lost";

export interface MonitorOptions {
  /** Called once for whatever was told at once. */
  onChange: (what: readonly Changed[]) => void;
  /** How many bytes of news may wait to be read; unless given, as the kernel's parameters say. */
  receiveBuffer?: number;
}

/** struct sockaddr_nl (linux/netlink.h). */
const sockaddr_nl = struct({ nl_family: u16, _pad: pad(2), nl_pid: u32, nl_groups: u32 });

const KINDS: Readonly<Record<number, Changed>> = {
  [RTM.NEWLINK]: "link", [RTM.DELLINK]: "link",
  [RTM.NEWADDR]: "address", [RTM.DELADDR]: "address",
  [RTM.NEWROUTE]: "route", [RTM.DELROUTE]: "route",
  [RTM.NEWRULE]: "rule", [RTM.DELRULE]: "rule",
  [RTM.NEWNEIGH]: "neighbour", [RTM.DELNEIGH]: "neighbour",
};
/** A transaction of rules ends with its generation: one piece of news for all that was in it. */
const NEW_RULES = NFNL_SUBSYS.NFTABLES * 256 + NFT_MSG.NEWGEN;

/** Begins to listen; nothing that changes from now on is missed. Ends when it is disposed of. */
export function openMonitor(netns: Netns, options: MonitorOptions): Disposable {
  const ears = [
    listen(netns, { protocol: NETLINK.ROUTE, groups: Object.values(RTNLGRP) }, options),
    listen(netns, { protocol: NETLINK.NETFILTER, groups: [NFNLGRP.NFTABLES] }, options),
  ];
  return { [Symbol.dispose]: () => ears.forEach((ear) => ear[Symbol.dispose]()) };
}

function listen(netns: Netns, news: { protocol: number; groups: readonly number[] }, options: MonitorOptions): Disposable {
  let isOpen = true;
  let current: Socket | undefined;
  const begin = (): void => {
    const ear = connect({ fd: netns.inside(() => join(news, options.receiveBuffer)), port: 0 }); // the descriptor is the stream's from here on
    ear.on("data", tell).on("close", again).on("error", (error) => ignore(error, "the stream closes, and that is told"));
    current = ear;
  };
  const tell = (bytes: Uint8Array): void => {
    const what = new Set(answersIn(bytes).flatMap(({ type, body }) => changedBy(type, body) ?? []));
    if (isOpen && what.size > 0) options.onChange([...what]);
  };
  // ENOBUFS, and the stream is closed. The next one listens before anybody looks, so nothing is missed in between.
  const again = (): void => {
    if (!isOpen) return;
    begin();
    options.onChange(["lost"]);
  };
  begin();
  return {
    [Symbol.dispose]: () => {
      isOpen = false;
      current?.destroy();
    },
  };
}

/** A socket that has not been bound is told nothing, and binding takes it out of its groups: so that comes first. */
function join({ protocol, groups }: { protocol: number; groups: readonly number[] }, receiveBuffer: number | undefined): number {
  const fd = socket(AF.NETLINK, SOCK.RAW | SOCK.NONBLOCK, protocol);
  try {
    if (receiveBuffer !== undefined) setSocketOption(fd, SOL.SOCKET, SO.RCVBUFFORCE, receiveBuffer);
    bind(fd, encode(sockaddr_nl, { nl_family: AF.NETLINK }).slice());
    for (const group of groups) setSocketOption(fd, SOL.NETLINK, NETLINK.ADD_MEMBERSHIP, group);
    return fd;
  } catch (error) {
    closeFile(fd);
    throw error;
  }
}

/**
 * Neighbours come and go and are asked again all day, by themselves. Only those that somebody set are news, and those that are
 * gone, of which it is not told whether somebody had set them.
 */
function changedBy(type: number, body: Uint8Array): Changed | undefined {
  if (type === NEW_RULES) return "nftables";
  if (type !== RTM.NEWNEIGH) return KINDS[type];
  return (ndmsg.decode(body).ndm_state & (NUD.PERMANENT | NUD.NOARP)) === 0 ? undefined : "neighbour";
}
