/** What the kernel tells everybody of a namespace's network while something is done (rtnetlink(7), multicast groups). */
import { unless } from "../errors.ts";
import { bind, closeFile, recv, setSocketOption, socket } from "../libc.ts";
import { answersIn } from "../netlink.ts";
import type { Netns } from "../netns.ts";
import { NETLINK } from "../uapi/netlink.ts";
import { AF, SO, SOCK, SOL } from "../uapi/socket.ts";

const ADD_MEMBERSHIP = 1; // linux/netlink.h NETLINK_ADD_MEMBERSHIP
/** linux/rtnetlink.h RTNLGRP_*: links, neighbours and entries, addresses, routes, rules, of both families; NFNLGRP_NFTABLES. */
const GROUPS = { [NETLINK.ROUTE]: [1, 3, 5, 7, 8, 9, 11, 19], [NETLINK.NETFILTER]: [7] } as const;
/** The types of the messages; none where nothing was changed. The kernel has told when a change is done, so nobody waits. */
export function newsOf(netns: Netns, act: () => void): number[] {
  const ears = ([NETLINK.ROUTE, NETLINK.NETFILTER] as const).map((protocol) => {
    const fd = netns.inside(() => socket(AF.NETLINK, SOCK.RAW | SOCK.NONBLOCK, protocol));
    setSocketOption(fd, SOL.SOCKET, SO.RCVBUFFORCE, 8 * 1024 * 1024);
    bind(fd, Uint8Array.of(AF.NETLINK, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)); // struct sockaddr_nl, without groups
    for (const group of GROUPS[protocol]) setSocketOption(fd, SOL.NETLINK, ADD_MEMBERSHIP, group);
    return fd;
  });
  try {
    act();
    return ears.flatMap(heardBy);
  } finally {
    ears.forEach((ear) => closeFile(ear));
  }
}

function heardBy(fd: number): number[] {
  const types: number[] = [];
  const into = new Uint8Array(64 * 1024);
  for (;;) {
    const length = unless(["EAGAIN"], () => recv(fd, into));
    if (length === undefined) return types;
    types.push(...answersIn(into.subarray(0, length)).map(({ type }) => type));
  }
}
