/** @vethwork/linux: the Linux kernel's networking from TypeScript. This is the package's door; start at ./netns.ts. */
export { Netns } from "./netns.ts";
export { KernelError, ignore, isErrno, unless } from "./errors.ts";
export { kernelCall } from "./faults.ts";
export * from "./ip.ts";
export * from "./mac.ts";
export * from "./files.ts";
export type { Addr, Addrs, NewAddr } from "./addrs.ts";
export type { Link, LinkChanges, Links, NewLink, Port } from "./links.ts";
export type { Neighbour, Neighbours } from "./neighbours.ts";
export type { Route, Routes } from "./routes.ts";
export { openSocket, type Endpoint, type IpSocket, type SocketKind } from "./sockets.ts";
export { addTap, openTap, type NewTap, type TapEnd } from "./tun.ts";
export type { Sysctl } from "./sysctl.ts";
export type { PortVlan, Vlans } from "./vlans.ts";
export type { Change, Nft } from "./nft/nft.ts";
export type * from "./nft/objects.ts";
export { commentOf, sameRule, textOf, type KernelRule } from "./nft/rule.ts";
export * as words from "./nft/words.ts";
