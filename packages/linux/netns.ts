/**
 * Network namespaces, as objects with sockets of their own.
 *
 *     using host = Netns.host();
 *     using pod = Netns.open("/run/netns/pod-1");
 *     pod.links.get("eth0").mtu
 *
 * A socket stays in the namespace in which it was opened, so a namespace is entered for a moment, to open one, and
 * then talked to from outside. What has no socket (the files of /proc/sys/net) is done inside(): synchronously,
 * because any thread that the runtime starts meanwhile would stay there.
 */
import { createAddrs, type Addrs } from "./addrs.ts";
import { createConntrack, type Conntrack } from "./conntrack.ts";
import { KernelError, isErrno, unless } from "./errors.ts";
import { lockOpen } from "./files.ts";
import { createFilters, type Filters } from "./filters.ts";
import { closeFile, factsOf, fileSystemMagic, flock, openFile, setns, unshare } from "./libc.ts";
import { createLinks, type Links } from "./links.ts";
import { createNeighbours, type Neighbours } from "./neighbours.ts";
import { openNetlink, type NetlinkSocket } from "./netlink.ts";
import { createNft, type Nft } from "./nft/nft.ts";
import { createQdiscs, type Qdiscs } from "./qdiscs.ts";
import { createRoutes, type Routes } from "./routes.ts";
import { createRules, type RoutingRules } from "./rules.ts";
import { createSysctl, type Sysctl } from "./sysctl.ts";
import { O } from "./uapi/fs.ts";
import { NETLINK } from "./uapi/netlink.ts";
import { CLONE, LOCK, NSFS_MAGIC, PROC_SUPER_MAGIC } from "./uapi/socket.ts";
import { createVlans, type Vlans } from "./vlans.ts";

export interface Netns extends Disposable {
  /** The path that it was opened by. */
  readonly path: string;
  /** For a peer that is to be made in it (IFLA_NET_NS_FD). */
  readonly fd: number;
  readonly links: Links;
  readonly addrs: Addrs;
  readonly routes: Routes;
  readonly rules: RoutingRules;
  readonly neighbours: Neighbours;
  readonly sysctl: Sysctl;
  readonly vlans: Vlans;
  readonly qdiscs: Qdiscs;
  readonly filters: Filters;
  readonly nft: Nft;
  readonly conntrack: Conntrack;
  /** Its socket of a protocol (NETLINK), opened when first asked for: for what few need, and others are not to load. */
  netlink(protocol: number): NetlinkSocket;
  /** Runs synchronous work with the calling thread in the namespace. */
  inside<T>(work: () => T): T;
  sameAs(other: Netns): boolean;
  /** Holds it for oneself among all who lock it, until it is disposed of. RangeError where another does for longer than `timeoutMs`. */
  lock(timeoutMs: number): void;
  /** Its inode, which it has whatever path leads to it: tells it from every other namespace that there is now. */
  identity(): string;
}

const OWN = "/proc/thread-self/ns/net";

export interface HostOptions {
  /** Where /proc/sys is that may be written, in a container. */
  sysctls?: string | undefined;
  /** Puts another socket in the place of each: ./rehearsal.ts. Kernel parameters are then not written either. */
  through?: ((socket: NetlinkSocket) => NetlinkSocket) | undefined;
}

/** The namespace this process runs in. */
function host(options: HostOptions = {}): Netns {
  return netnsFrom(OWN, openFile(OWN, O.RDONLY), { ...options, inside: (work) => work() });
}

/** Opens the namespace at `path`; KernelError ENOENT where there is nothing, EINVAL where it is something else. */
function open(path: string): Netns {
  const fd = openNamespaceFile(path);
  return netnsFrom(path, fd, { inside: entering(fd) });
}

/** As open; undefined where there is nothing at `path`, or no longer a namespace: a pod that is gone. */
function find(path: string): Netns | undefined {
  return unless(["ENOENT", "ENOTDIR", "EINVAL", "ENXIO", "ELOOP", "ENAMETOOLONG"], () => open(path));
}

/** Makes a namespace without a name: it is gone when it is disposed of and nothing else holds it. */
function create(): Netns {
  const own = openFile(OWN, O.RDONLY);
  try {
    unshare(CLONE.NEWNET);
    const fd = openFile(OWN, O.RDONLY);
    setns(own, CLONE.NEWNET);
    return netnsFrom(OWN, fd, { inside: entering(fd) });
  } finally {
    closeFile(own);
  }
}

export const Netns = { host, open, find, create };

interface Door extends HostOptions {
  inside: <T>(work: () => T) => T;
}

function netnsFrom(path: string, fd: number, { inside, sysctls, through }: Door): Netns {
  const sockets: NetlinkSocket[] = []; // by protocol
  const open = through ?? ((socket) => socket);
  const netlink = (protocol: number): NetlinkSocket => (sockets[protocol] ??= open(inside(() => openNetlink(protocol))));
  const rtnl = () => netlink(NETLINK.ROUTE);
  const netfilter = () => netlink(NETLINK.NETFILTER);
  const made: { -readonly [K in keyof Netns]?: Netns[K] } = {}; // each when it is first asked for
  return {
    path,
    fd,
    get links() { return made.links ??= createLinks(rtnl); },
    get addrs() { return made.addrs ??= createAddrs(rtnl); },
    get routes() { return made.routes ??= createRoutes(rtnl); },
    get rules() { return made.rules ??= createRules(rtnl); },
    get neighbours() { return made.neighbours ??= createNeighbours(rtnl); },
    get sysctl() { return made.sysctl ??= createSysctl(inside, { root: sysctls, isRehearsal: through !== undefined }); },
    get vlans() { return made.vlans ??= createVlans(rtnl); },
    get qdiscs() { return made.qdiscs ??= createQdiscs(rtnl); },
    get filters() { return made.filters ??= createFilters(rtnl); },
    get nft() { return made.nft ??= createNft(netfilter, () => queueIn(inside)); },
    get conntrack() { return made.conntrack ??= createConntrack(netfilter); },
    netlink,
    inside,
    sameAs: (other) => other.identity() === factsOf(fd).identity,
    lock: (timeoutMs) => lockOpen(fd, { path, timeoutMs }),
    identity: () => factsOf(fd).identity,
    [Symbol.dispose]: () => {
      sockets.splice(0).forEach((socket) => socket[Symbol.dispose]());
      closeFile(fd);
    },
  };
}

/**
 * A lock on the namespace, of an open file of its own: what the object itself has locked is another matter. The kernel hands it on in
 * the order in which they came, and hundreds who wait in it take no time; who looked again and again would take all there is, and some
 * never be lucky. Whoever has it gives it back within seconds (nft.ts), or dies.
 */
function queueIn(inside: Door["inside"]): Disposable {
  const fd = inside(() => openFile(OWN, O.RDONLY));
  try {
    while (unless(["EINTR"], () => (flock(fd, LOCK.EX), true)) === undefined);
  } catch (error) {
    closeFile(fd);
    throw error;
  }
  return { [Symbol.dispose]: () => closeFile(fd) };
}

function entering(fd: number): <T>(work: () => T) => T {
  return (work) => {
    const back = openFile(OWN, O.RDONLY);
    try {
      setns(fd, CLONE.NEWNET);
      const result = synchronous(work);
      return result;
    } finally {
      setns(back, CLONE.NEWNET);
      closeFile(back);
    }
  };
}

function synchronous<T>(work: () => T): T {
  const result = work();
  if (result instanceof Promise) throw new TypeError("Cannot wait inside a namespace (synchronous work is wanted)");
  return result;
}

/** Opens the file and makes sure that it is a namespace: a plain file left at the path is a pod that is gone. */
function openNamespaceFile(path: string): number {
  const fd = openAnyFile(path);
  const magic = fileSystemMagic(fd);
  if (magic === NSFS_MAGIC || magic === PROC_SUPER_MAGIC) return fd;
  closeFile(fd);
  const reason = `it is on a file system of magic 0x${magic.toString(16)}, a network namespace is wanted`;
  throw new KernelError(`Cannot open namespace "${path}"`, "EINVAL", { reason });
}

/** Not blocking: a fifo at the path must not hold us up. */
function openAnyFile(path: string): number {
  try {
    return openFile(path, O.RDONLY | O.NONBLOCK);
  } catch (error) {
    if (!isErrno(error, "ENXIO")) throw error;
    const reason = "it is a socket or a device, a network namespace is wanted";
    throw new KernelError(`Cannot open namespace "${path}"`, "ENXIO", { reason, cause: error });
  }
}
