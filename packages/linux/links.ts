/**
 * Links: the network devices of one namespace (ip-link(8)).
 *
 * A veth pair is made with its peer already in the peer's namespace, in one request: made here and moved, it would
 * for a moment be a device of ours called eth0, and the move waits for the kernel's grace period under load.
 */
import { isErrno, unless } from "./errors.ts";
import { ipFrom, type Ip } from "./ip.ts";
import { macFrom, type Mac } from "./mac.ts";
import type { NetlinkSocket } from "./netlink.ts";
import { IF_OPER, IFF, IN6_ADDR_GEN_MODE, IPVLAN_MODE, MACVLAN_MODE, link as linkMessage, linkAnswer, type IFLA_VXLAN } from "./uapi/if_link.ts";
import { IFF_OF_TUN, type IFLA_TUN } from "./uapi/if_tun.ts";
import { nsid as nsidMessage } from "./uapi/net_namespace.ts";
import { NLM_F } from "./uapi/netlink.ts";
import { RTEXT_FILTER, RTM } from "./uapi/rtnetlink.ts";
import { AF } from "./uapi/socket.ts";
import type { Value } from "./wire/codec.ts";

export interface Link {
  index: number;
  name: string;
  /** "veth", "bridge", …; "" for a device of hardware or the loopback. */
  kind: string;
  mac: Mac | undefined;
  mtu: number;
  up: boolean;
  /** Both ends of the cable are up: frames can pass. */
  carrier: boolean;
  /** The kernel has told those above, a bridge say, that frames can pass (RFC 2863's operational state is up). */
  operational: boolean;
  /** Takes frames for everybody, because somebody asked for it by hand; a packet capture does not show here. */
  promisc: boolean;
  /** Takes frames for every multicast group, because somebody asked for it by hand. */
  allmulti: boolean;
  /** How many packets may wait to be sent. */
  txQueueLength: number;
  loopback: boolean;
  /** A number by which rules know links of one purpose; 0: of none. */
  group: number;
  /** Index of the bridge or vrf that this is a port of; 0: of none. */
  master: number;
  /** Of a veth its peer's index, in the peer's namespace. */
  linkIndex: number;
  /** The number of the namespace that `linkIndex` is of; undefined: this one. */
  linkNetnsId: number | undefined;
  alias: string;
  /** Of a vrf: the routing table of its links. */
  table: number | undefined;
  /** Of a tun or tap: which of both, and who may open it. */
  tun: Tun | undefined;
  /** Of a macvlan or ipvlan: the mode's name; of a vlan: its number, as text. */
  mode: string;
  /** Of a vxlan. */
  vxlan: Vxlan | undefined;
}

/** One end of a tunnel that carries frames in UDP (RFC 7348); where the others are says its ./fdb.ts. */
export interface Vxlan {
  /** Which of the networks between these hosts: 24 bits. */
  vni: number;
  /** The UDP port of all ends. */
  port: number;
  /** This end's address, and so the family of what is outside. Unless given, the route to the other end decides. */
  local?: Ip | undefined;
  /** Whether it takes what comes as a sign of where its sender is. */
  learning: boolean;
  /** Whether the outer header has a checksum. What is inside has its own. */
  checksum: boolean;
}

export interface Tun {
  /** Takes frames; one that is no tap takes packets. */
  tap: boolean;
  owner: number | undefined;
  group: number | undefined;
  multiQueue: boolean;
}

interface Plain {
  name: string;
  mac?: Mac;
  mtu?: number;
  up?: boolean;
  /** A number by which rules know links of one purpose; 0 unless given. */
  group?: number;
}

export interface NewVeth extends Plain {
  kind: "veth";
  /** `netnsFd`: the namespace in which the peer is made; this one where it is absent. */
  peer: Plain & { netnsFd?: number };
}

export interface NewBridge extends Plain {
  kind: "bridge";
  vlanFiltering?: boolean;
}

/** A device that sits on another one; or on none (dummy). */
interface Child extends Plain {
  /** Index of the device that it sits on. */
  parent: number;
  /** The namespace in which it is made; this one where it is absent. */
  netnsFd?: number;
}

export interface NewMacvlan extends Child {
  kind: "macvlan";
  mode: keyof typeof MACVLAN_MODES;
  /** How many broadcast frames may wait. */
  broadcastQueue?: number;
}

export interface NewIpvlan extends Child {
  kind: "ipvlan";
  mode: keyof typeof IPVLAN_MODES;
}

export interface NewVlan extends Child {
  kind: "vlan";
  /** 802.1Q: 0 to 4094. */
  id: number;
}

export interface NewDummy extends Plain {
  kind: "dummy";
  netnsFd?: number;
}

/** A device that sends what filters redirect to it through its own qdisc, and gives it back to where it was on its way. */
export interface NewIfb extends Plain {
  kind: "ifb";
  txQueueLength?: number;
}

export interface NewVrf extends Plain {
  kind: "vrf";
  /** The routing table of the links that it is the master of. */
  table: number;
}

export interface NewVxlan extends Plain, Vxlan {
  kind: "vxlan";
}

/** A tunnel whose other ends are known by their keys (./wireguard.ts). */
export interface NewWireguard extends Plain {
  kind: "wireguard";
}

export type NewLink = NewVxlan | NewWireguard | NewVrf | NewIfb | NewVeth | NewBridge | NewMacvlan | NewIpvlan | NewVlan | NewDummy;

export const MACVLAN_MODES = { bridge: MACVLAN_MODE.BRIDGE, private: MACVLAN_MODE.PRIVATE, vepa: MACVLAN_MODE.VEPA, passthru: MACVLAN_MODE.PASSTHRU } as const;
export const IPVLAN_MODES = { l2: IPVLAN_MODE.L2, l3: IPVLAN_MODE.L3, l3s: IPVLAN_MODE.L3S } as const;

export interface LinkChanges {
  up?: boolean;
  mtu?: number;
  mac?: Mac;
  name?: string;
  alias?: string;
  /** The bridge or vrf to be a port of; null: of none. */
  master?: Link | null;
  /** Move it into another namespace, under `name` if that is given too: one step, in which nobody sees it half done. */
  netnsFd?: number;
  /** Whether the kernel gives the link an IPv6 link-local address of its own. Takes effect before `up` does. */
  linkLocal?: boolean;
  /** Of a bridge's port: a frame may leave by the port it came in. */
  hairpin?: boolean;
  /** Of a bridge's port: isolated ports do not talk to each other. */
  isolated?: boolean;
  /** Take frames for everybody. */
  promisc?: boolean;
  /** Take frames for every multicast group. */
  allmulti?: boolean;
  /** How many packets may wait to be sent. */
  txQueueLength?: number;
}

/** What a bridge knows of one of its ports. */
export interface Port {
  hairpin: boolean;
  isolated: boolean;
}

export interface Links {
  /** Fails with EEXIST where the name is taken, here or, of a peer, there. */
  add(link: NewLink): void;
  /** By name, or by index. */
  get(which: string | number): Link;
  find(which: string | number): Link | undefined;
  list(): Link[];
  /** The other end of a veth that is in another namespace, `there`; undefined where it is not in this one. */
  findPeer(there: { fd: number }, far: Link): Link | undefined;
  /** The link as a bridge's port; undefined where it is none. */
  findPort(link: Link): Port | undefined;
  set(link: Link, changes: LinkChanges): void;
  /** Of what has that name, without a look at it before. */
  set(name: string, changes: Omit<LinkChanges, "name" | "hairpin" | "isolated">): void;
  /** Gives a vxlan another address of its own, of the same family. */
  setLocal(link: Link, local: Ip): void;
  /** True if it was there. Of a veth pair both ends go. */
  delete(name: string): boolean;
}

type Message = Value<typeof linkMessage>;

/** @param rtnl the socket of the namespace whose links are meant, opened when first used */
export function createLinks(rtnl: () => NetlinkSocket): Links {
  const get = (which: string | number): Link => {
    const attrs = { EXT_MASK: RTEXT_FILTER.SKIP_STATS }; // half of the answer, and nobody here reads it
    const value = typeof which === "string" ? { attrs: { ...attrs, IFNAME: which } } : { ifi_index: which, attrs };
    return rtnl().get({ what: `get link "${which}"`, type: RTM.GETLINK, codec: linkMessage, value }, linkFrom);
  };
  const set = (what: string, value: Message): void =>
    rtnl().request({ what, type: RTM.SETLINK, codec: linkMessage, value });
  return {
    add: (link) =>
      rtnl().request({
        what: `add ${link.kind} "${link.name}"`,
        type: RTM.NEWLINK,
        flags: NLM_F.CREATE | NLM_F.EXCL,
        codec: linkMessage,
        value: newLink(link),
      }),
    get,
    find: (which) => unless(["ENODEV"], () => get(which)),
    list: () => rtnl().dump({ what: "list links", type: RTM.GETLINK, codec: linkMessage, value: { attrs: { EXT_MASK: RTEXT_FILTER.SKIP_STATS } } }, linkFrom),
    findPeer: ({ fd }, far) => {
      const near = far.kind === "veth" ? unless(["ENODEV"], () => get(far.linkIndex)) : undefined;
      if (near?.kind !== "veth" || near.linkIndex !== far.index) return undefined;
      const request = { what: "get a namespace's number", type: RTM.GETNSID, codec: nsidMessage, value: { attrs: { FD: fd } } };
      const number = rtnl().get(request, (body) => nsidMessage.decode(body).attrs.NSID);
      return number === near.linkNetnsId ? near : undefined; // two cables may have the same pair of indices
    },
    findPort: ({ index }) => {
      const request = { what: "list ports", type: RTM.GETLINK, codec: linkMessage, value: { ifi_family: AF.BRIDGE } };
      const port = rtnl().dump(request, (body) => linkMessage.decode(body)).find(({ ifi_index }) => ifi_index === index);
      const told = port?.attrs.PROTINFO;
      return told && { hairpin: told.MODE === 1, isolated: told.ISOLATED === 1 };
    },
    set: (link: Link | string, changes: LinkChanges) => {
      for (const value of messagesFor(changes)) {
        if (typeof link === "string") set(`set link "${link}"`, { ...value, attrs: { IFNAME: link, ...value.attrs } });
        else set(`set link "${link.name}"`, { ...value, ifi_index: link.index });
      }
    },
    setLocal: ({ index, name }, local) => {
      const value = { ifi_index: index, attrs: { LINKINFO: { kind: "vxlan" as const, data: localOf(local) } } };
      rtnl().request({ what: `set the address of vxlan "${name}" to ${local}`, type: RTM.NEWLINK, codec: linkMessage, value });
    },
    delete: (name) => {
      try {
        const value = { attrs: { IFNAME: name } };
        rtnl().request({ what: `delete link "${name}"`, type: RTM.DELLINK, codec: linkMessage, value });
        return true;
      } catch (error) {
        if (isErrno(error, "ENODEV")) return false;
        throw error;
      }
    },
  };
}

function newLink(link: NewLink): Message {
  const { ifi_flags, ifi_change, attrs } = plainMessage(link);
  if (link.kind === "bridge") {
    const data = link.vlanFiltering === undefined ? {} : { VLAN_FILTERING: link.vlanFiltering ? 1 : 0 };
    return { ifi_flags, ifi_change, attrs: { ...attrs, LINKINFO: { kind: "bridge", data } } };
  }
  if (link.kind !== "veth") return { ifi_flags, ifi_change, attrs: { ...attrs, ...placeOf(link), LINKINFO: infoOf(link) } };
  const { netnsFd, ...peer } = link.peer;
  const there = plainMessage(peer);
  const PEER = { ...there, attrs: { ...there.attrs, ...(netnsFd !== undefined && { NET_NS_FD: netnsFd }) } };
  return { ifi_flags, ifi_change, attrs: { ...attrs, LINKINFO: { kind: "veth", data: { PEER } } } };
}

type Alone = NewVxlan | NewWireguard | NewVrf | NewIfb | NewMacvlan | NewIpvlan | NewVlan | NewDummy;

const placeOf = (link: Alone) => ({
  ...("parent" in link && { LINK: link.parent }),
  ...("netnsFd" in link && link.netnsFd !== undefined && { NET_NS_FD: link.netnsFd }),
  ...("txQueueLength" in link && link.txQueueLength !== undefined && { TXQLEN: link.txQueueLength }),
});

function infoOf(link: Alone) {
  if (link.kind === "vxlan") return { kind: "vxlan" as const, data: vxlanData(link) };
  if (link.kind === "dummy" || link.kind === "ifb" || link.kind === "wireguard") return { kind: "unknown" as const, name: link.kind };
  if (link.kind === "vrf") return { kind: "vrf" as const, data: { TABLE: link.table } };
  if (link.kind === "vlan") return { kind: "vlan" as const, data: { ID: link.id } };
  if (link.kind === "ipvlan") return { kind: "ipvlan" as const, data: { MODE: IPVLAN_MODES[link.mode] } };
  const { mode, broadcastQueue } = link;
  return { kind: "macvlan" as const, data: { MODE: MACVLAN_MODES[mode], ...(broadcastQueue !== undefined && { BC_QUEUE_LEN: broadcastQueue }) } };
}

/** Over IPv6 a missing checksum has to be allowed on both ends (RFC 6935), so both are said. */
function vxlanData({ vni, port, local, learning, checksum }: NewVxlan): Value<typeof IFLA_VXLAN> {
  const isV6 = local?.family === 6;
  return {
    ID: vni, PORT: port, LEARNING: Number(learning), ...(local && localOf(local)),
    ...(isV6 ? { UDP_ZERO_CSUM6_TX: Number(!checksum), UDP_ZERO_CSUM6_RX: Number(!checksum) } : { UDP_CSUM: Number(checksum) }),
  };
}

const localOf = ({ family, bytes }: Ip) => (family === 4 ? { LOCAL: bytes } : { LOCAL6: bytes });

/** The mode's name, or the VLAN's number. */
function modeOf(info: NonNullable<Value<typeof linkAnswer>["attrs"]>["LINKINFO"]): string {
  if (!info) return "";
  if (info.kind === "vlan") return String(info.data?.ID ?? "");
  if (info.kind !== "macvlan" && info.kind !== "ipvlan") return "";
  const modes = info.kind === "macvlan" ? MACVLAN_MODES : IPVLAN_MODES;
  return Object.entries(modes).find(([, value]) => value === info.data?.MODE)?.[0] ?? "";
}

function plainMessage({ name, mac, mtu, up, group }: Plain) {
  const flags = up === undefined ? { ifi_flags: 0, ifi_change: 0 } : { ifi_flags: up ? IFF.UP : 0, ifi_change: IFF.UP };
  return { ...flags, attrs: { IFNAME: name, ...(mtu !== undefined && { MTU: mtu }), ...(mac && { ADDRESS: mac.bytes }), ...(group !== undefined && { GROUP: group }) } };
}

/** Options first, `up` last: the kernel acts on IFF_UP before it reads the family's options of the same message. */
function messagesFor(changes: LinkChanges): Message[] {
  const { up, mtu, mac, name, alias, master, linkLocal, hairpin, isolated, promisc, allmulti, txQueueLength } = changes;
  const mode = linkLocal === false ? IN6_ADDR_GEN_MODE.NONE : IN6_ADDR_GEN_MODE.EUI64;
  const attrs = {
    ...(mtu !== undefined && { MTU: mtu }),
    ...(mac && { ADDRESS: mac.bytes }),
    ...(name !== undefined && { IFNAME: name }),
    ...(txQueueLength !== undefined && { TXQLEN: txQueueLength }),
    ...(alias !== undefined && { IFALIAS: alias }),
    ...(master !== undefined && { MASTER: master?.index ?? 0 }),
    ...(changes.netnsFd !== undefined && { NET_NS_FD: changes.netnsFd }),
    ...(linkLocal !== undefined && { AF_SPEC: { INET6: { ADDR_GEN_MODE: mode } } }),
  };
  const port = {
    ...(hairpin !== undefined && { MODE: Number(hairpin) }),
    ...(isolated !== undefined && { ISOLATED: Number(isolated) }),
  };
  const turned = (bit: number, on: boolean) => ({ ifi_flags: on ? bit : 0, ifi_change: bit });
  const ports = Object.keys(port).length > 0 ? [{ ifi_family: AF.BRIDGE, attrs: { PROTINFO: port } }] : [];
  const others = [...ports, ...(promisc === undefined ? [] : [turned(IFF.PROMISC, promisc)]), ...(allmulti === undefined ? [] : [turned(IFF.ALLMULTI, allmulti)])];
  if (linkLocal === undefined && others.length === 0 && up !== undefined) return [{ ...turned(IFF.UP, up), attrs }];
  return [
    ...(Object.keys(attrs).length > 0 ? [{ attrs }] : []),
    ...others,
    ...(up === undefined ? [] : [turned(IFF.UP, up)]),
  ];
}

const tunFrom = ({ TYPE, OWNER, GROUP, MULTI_QUEUE }: Value<typeof IFLA_TUN>): Tun =>
  ({ tap: TYPE === IFF_OF_TUN.TAP, owner: OWNER, group: GROUP, multiQueue: MULTI_QUEUE === 1 });

function vxlanFrom({ ID = 0, PORT = 0, LEARNING, LOCAL, LOCAL6, UDP_CSUM, UDP_ZERO_CSUM6_TX }: Value<typeof IFLA_VXLAN>): Vxlan {
  const local = LOCAL ?? LOCAL6;
  return { vni: ID, port: PORT, learning: LEARNING === 1, local: local && ipFrom(local), checksum: LOCAL6 ? UDP_ZERO_CSUM6_TX !== 1 : UDP_CSUM === 1 };
}

function linkFrom(body: Uint8Array): Link {
  const { ifi_index, ifi_flags, attrs } = linkAnswer.decode(body);
  const info = attrs.LINKINFO;
  return {
    index: ifi_index,
    name: attrs.IFNAME ?? "",
    kind: info === undefined ? "" : info.kind === "unknown" ? info.name : info.kind,
    mac: attrs.ADDRESS && attrs.ADDRESS.length > 0 ? macFrom(attrs.ADDRESS) : undefined,
    mtu: attrs.MTU ?? 0,
    up: (ifi_flags & IFF.UP) !== 0,
    carrier: attrs.OPERSTATE === IF_OPER.UP || (attrs.CARRIER ?? 0) !== 0,
    operational: attrs.OPERSTATE === IF_OPER.UP,
    promisc: (ifi_flags & IFF.PROMISC) !== 0,
    allmulti: (ifi_flags & IFF.ALLMULTI) !== 0,
    txQueueLength: attrs.TXQLEN ?? 0,
    loopback: (ifi_flags & IFF.LOOPBACK) !== 0,
    group: attrs.GROUP ?? 0,
    master: attrs.MASTER ?? 0,
    linkIndex: attrs.LINK ?? 0,
    linkNetnsId: attrs.LINK_NETNSID,
    alias: attrs.IFALIAS ?? "",
    mode: modeOf(info),
    table: info?.kind === "vrf" ? info.data?.TABLE : undefined,
    tun: info?.kind === "tun" && info.data ? tunFrom(info.data) : undefined,
    vxlan: info?.kind === "vxlan" && info.data ? vxlanFrom(info.data) : undefined,
  };
}
