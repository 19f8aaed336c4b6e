/**
 * host-local: gives pods addresses out of ranges, and remembers on this node's disk who has which.
 *
 *     ADD  ranges ──▶ the next one that is free ──▶ /var/lib/cni/networks/mynet/10.1.0.5   "container\r\neth0"
 *     DEL  who? ──▶ every address of that container's interface ──▶ free again
 *
 * It touches no network: another plugin calls it (`bridge`, `ptp`, …) and configures what it gives. Nodes do not speak
 * to each other, so every node needs ranges of its own. Same options, files and results as the reference host-local:
 * a node can change from one to the other and back while pods run. Better is: a reboot frees what it ended; one ADD
 * costs the same whether none or 60,000 addresses are taken; GC and STATUS; a lock that is not waited for for ever.
 *
 * The files are ../shared/ipam/book.ts, the arithmetic is ../shared/ipam/pool.ts, options and their checks are beside.
 */
import { CniError, ErrorCode, definePlugin, type IpConfig } from "@vethwork/cni";
import { cidrOf, ensureFolder, parseCidr, parseIp, type Ip } from "@vethwork/linux";
import { argumentsOf } from "../shared/arguments.ts";
import type { Attached } from "../shared/attachment.ts";
import { CHANGED } from "../shared/complaint.ts";
import { findBook, openBook, type Wish } from "../shared/ipam/book.ts";
import { isIn, sizeOf, type Pool } from "../shared/ipam/pool.ts";
import { resultFrom } from "../shared/ipam/lease.ts";
import { options, type Config } from "./options.ts";
import { setsOf, textOf } from "./ranges.ts";
import { requestsOf } from "./requested.ts";
import { dnsIn } from "./resolv-conf.ts";

export default definePlugin({
  type: "host-local",
  about: "addresses out of ranges of this node, remembered on its disk",
  config: options,

  add({ config, args, undo }) {
    const sets = setsOf(config);
    const dns = config.ipam.resolvConf === "" ? undefined : dnsIn(config.ipam.resolvConf);
    const { IP } = argumentsOf(args, ["IP"]);
    const wanted = requestsOf(sets, [...(IP ? [IP] : []), ...config.args.cni.ips, ...config.runtimeConfig.ips]);
    const folder = folderOf(config);
    ensureFolder(folder, 0o755);
    using book = openBook(folder, config.ipam);
    const own = book.find(args);
    for (const [at, set] of sets.entries()) {
      const held = own.find((address) => set.some((pool) => isIn(pool, parseIp(address))));
      if (held) throw refused(at, `${held} has been allocated to ${args.containerId}, duplicate allocation is not allowed`);
    }
    const wishes = sets.map((set, at): Wish => ({ set, ...(wanted[at] && { only: wanted[at] }) }));
    const given = book.take(args, wishes, ({ set, only }, at) =>
      refused(at, only ? `requested IP address ${only} is not available in range set ${textOf(set)}` : `no IP addresses available in range set: ${textOf(set)}`));
    undo.defer(() => forget(config, args)); // of a result that the network's version cannot tell
    const ips = given.map((ip, at) => described(ip, sets[at] ?? []));
    return resultFrom({ ips, routes: config.ipam.routes, ...(dns && { dns }) });
  },

  // CHECK: whatever of the result is of our ranges must be written down for this interface, and something must be.
  check({ config, args, prevResult }) {
    const sets = setsOf(config);
    using book = findBook(folderOf(config), config.ipam);
    const held = book?.find(args) ?? [];
    const claimed = (prevResult?.ips ?? []).map(({ address }) => parseCidr(address).ip).filter((ip) => sets.flat().some((pool) => isIn(pool, ip)));
    const lost = claimed.map(String).filter((address) => !held.includes(address));
    const what = held.length === 0 ? `Failed to find address added by container ${args.containerId}` : `${lost.join(", ")} is not reserved for container ${args.containerId}`;
    if (held.length === 0 || lost.length > 0) throw new CniError(CHANGED, `host-local: ${what}`);
  },

  // DEL needs no range: what the interface has stands in the book, whatever the configuration has become.
  del({ config, args }) {
    forget(config, args);
  },

  // GC: the runtime lists every attachment that it still knows. A file of long ago names no interface, but the container.
  gc({ config, valid }) {
    if (!valid) return;
    using book = findBook(folderOf(config), config.ipam);
    for (const one of book?.attachments() ?? []) {
      const isValid = valid.some(({ containerID, ifname }) => containerID === one.containerId && (one.ifname === "" || ifname === one.ifname));
      if (!isValid) book?.give(one);
    }
  },

  // STATUS: is there an address left in every set? Runtimes ask every few seconds.
  status({ config }) {
    const sets = setsOf(config);
    if (config.ipam.resolvConf !== "") dnsIn(config.ipam.resolvConf);
    using book = findBook(folderOf(config), config.ipam);
    const taken = (book?.addresses() ?? []).map(parseIp);
    for (const set of sets) {
      const inUse = taken.filter((ip) => set.some((pool) => isIn(pool, ip))).length;
      const size = set.reduce((sum, pool) => sum + sizeOf(pool), 0n);
      if (BigInt(inUse) >= size) {
        throw new CniError(ErrorCode.PLUGIN_NOT_AVAILABLE, `no IP addresses available in range set: ${textOf(set)}`, { details: `all ${size} are taken` });
      }
    }
  },
});

const folderOf = ({ name, ipam }: Config): string => `${ipam.dataDir}/${name}`;

function forget(config: Config, attached: Attached): void {
  using book = findBook(folderOf(config), config.ipam);
  book?.give(attached);
}

const refused = (at: number, why: string): CniError => new CniError(ErrorCode.TRY_AGAIN, `failed to allocate for range ${at}: ${why}`);

/** The address with its subnet's prefix length, and the gateway of the range that it came out of. */
function described(ip: Ip, set: readonly Pool[]): IpConfig {
  const pool = set.find((one) => isIn(one, ip));
  return { address: String(cidrOf(ip, pool?.subnet.prefix)), ...(pool?.gateway && { gateway: String(pool.gateway) }) };
}
