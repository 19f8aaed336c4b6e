/** What plugins keep and read: the book of addresses, stashes, leases, flannel's file, name servers, DHCP. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CniError, ErrorCode } from "@vethwork/cni";
import { ipFrom, macFrom, networkOf, parseCidr } from "@vethwork/linux";
import { leaseFrom } from "@vethwork/plugins/dhcp/grant.ts";
import { parseHeld, parseLease as parseDhcpLease, parseOwner, parseWish } from "@vethwork/plugins/dhcp/lease.ts";
import { leasesIn } from "@vethwork/plugins/dhcp/leases.ts";
import { decodeMessage, encodeMessage } from "@vethwork/plugins/dhcp/message.ts";
import { questionFrom } from "@vethwork/plugins/dhcp/talk.ts";
import { OPTION, entry } from "@vethwork/plugins/dhcp/values.ts";
import { policyIn } from "@vethwork/plugins/firewall/wish.ts";
import { findStash, listStashes } from "@vethwork/plugins/flannel/stash.ts";
import { findLease, parseLease, readLease } from "@vethwork/plugins/flannel/subnet-env.ts";
import { dnsIn, parseResolvConf } from "@vethwork/plugins/host-local/resolv-conf.ts";
import { argumentsOf } from "@vethwork/plugins/shared/arguments.ts";
import { openBook } from "@vethwork/plugins/shared/ipam/book.ts";
import { ownerIn, parseEntry } from "@vethwork/plugins/shared/ipam/entry.ts";
import { poolOf } from "@vethwork/plugins/shared/ipam/pool.ts";
import { findObject } from "@vethwork/plugins/shared/object-file.ts";
import { collectBackups, findBackup } from "@vethwork/plugins/tuning/backup.ts";
import type { Decoder } from "../trial.ts";
import { inFolder, ofBytes, ofJson, ofText } from "./stock.ts";

const four = (...bytes: number[]) => ipFrom(Uint8Array.from(bytes));
const none = four(0, 0, 0, 0);
const ack = encodeMessage({
  op: "reply", xid: 7, secs: 0, broadcast: false, ciaddr: none, yiaddr: four(10, 0, 0, 9), siaddr: none, giaddr: none, chaddr: macFrom(Uint8Array.of(2, 0, 0, 0, 0, 1)),
  options: new Map([
    entry(OPTION.SUBNET_MASK, 24), entry(OPTION.SERVER, four(10, 0, 0, 1)), entry(OPTION.LEASE_TIME, 3600), entry(OPTION.ROUTER, [four(10, 0, 0, 1)]), entry(OPTION.DNS, [four(10, 0, 0, 2)]),
    entry(OPTION.DOMAIN_NAME, "a.b"), entry(OPTION.DOMAIN_SEARCH, ["a.b", "c.a.b"]), entry(OPTION.MTU, 1400),
    entry(OPTION.CLASSLESS_ROUTE, [{ dst: networkOf(parseCidr("10.9.0.0/16")), via: four(10, 0, 0, 1) }]),
  ]),
});
const wish = { network: "pods", containerId: "c1", ifname: "eth0", netns: "/run/netns/a", tell: { 12: "6869" }, ask: [1, 3] };
const lease = {
  address: "10.0.0.9/24", server: "10.0.0.1", serverMac: "02:00:00:00:00:02", since: 5, seconds: 3600, renewAfter: 1800, rebindAfter: 3150, gateway: "10.0.0.1",
  routes: [{ dst: "0.0.0.0/0", gw: "10.0.0.1" }], nameservers: ["10.0.0.2"], domain: "a.b", search: ["a.b"], mtu: 1400,
};
const held = { wish, mac: "02:00:00:00:00:01", boot: "b", lease };
const flannel = "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";
const flannelSix = `FLANNEL_IPV6_NETWORK=fd00:10::/48,fd00:11::/48\nFLANNEL_IPV6_SUBNET=fd00:10:0:1::1/64\n${flannel}`;
const delegate = { name: "cbr0", type: "bridge", ipam: { type: "host-local", ranges: [[{ subnet: "10.244.1.0/24" }]] }, "vethwork/ifname": "eth0" };

/** The folder as host-local leaves it, with the input as each of its files in turn; then a pod comes and goes. */
const book = async (text: string): Promise<void> => inFolder((folder) => {
  mkdirSync(join(folder, "by-attachment"));
  for (const name of ["10.0.0.2", "10.0.0.3", "fd00::7", "last_reserved_ip.0", "lock", "10.0.0.999", "by-attachment/c1:eth0", "by-attachment/c2:eth0"]) writeFileSync(join(folder, name), text);
  const attached = { containerId: "c9", ifname: "eth0" };
  using open = openBook(folder);
  const full = (): CniError => new CniError(ErrorCode.INTERNAL, "it is full");
  const set = [poolOf(parseCidr("10.0.0.0/24"))];
  if (open.take(attached, [{ set }], full).length !== 1) throw full();
  for (const one of [...open.attachments(), { containerId: "c1", ifname: "eth0" }, attached]) open.give(one);
  return [open.addresses(), open.deleteIfEmpty()];
});

const backup = async (text: string): Promise<void> => inFolder((folder) => {
  const file = join(folder, "c1_eth0.json");
  writeFileSync(file, text);
  const changes = findBackup(file);
  collectBackups(folder, "pods", []);
  return changes;
});

const stash = async (text: string): Promise<void> => inFolder((dataDir) => {
  for (const name of ["c1", "c1:eth0"]) writeFileSync(join(dataDir, name), text);
  return [findStash({ dataDir, network: "cbr0", attached: { containerId: "c1", ifname: "eth0" } }), listStashes(dataDir, "cbr0")];
});

const leases = async (text: string): Promise<void> => inFolder((folder) => {
  writeFileSync(join(folder, "pods:c1:eth0.json"), text);
  return leasesIn(folder).list();
});

const grant = (bytes: Uint8Array): unknown =>
  leaseFrom({ message: decodeMessage(bytes), mac: macFrom(Uint8Array.of(2, 0, 0, 0, 0, 2)), askedAt: 5, server: undefined }, () => {});

/** Of a file, as the plugin that reads it does. */
const read = (reader: (path: string) => unknown) => async (text: string): Promise<void> => inFolder((folder) => {
  const file = join(folder, "file");
  writeFileSync(file, text);
  return reader(file);
});

const each = (...readers: readonly ((value: unknown) => unknown)[]) => (value: unknown): void => {
  for (const reader of readers) {
    try {
      reader(value);
    } catch (error) {
      if (!(error instanceof CniError)) throw error;
    }
  }
};

export const decoders: readonly Decoder[] = [
  ofText("host-local: the folder", ["c1\r\neth0", "c1\neth0\nboot b\n10.0.0.2\n10.0.0.3\n", "10.0.0.7", ""], book, { throws: [], inputs: 150, words: ["boot ", "10.0.0.2", "fd00::7", "c1"] }),
  ofText("host-local: entries and owners", ["c1\r\neth0", "c1\neth0\nboot b\n10.0.0.2\n"], (text) => [parseEntry(text), ownerIn(text)], { throws: [], words: ["boot "] }),
  ofText("host-local: resolv.conf", ["# x\nnameserver 10.0.0.1\nsearch a.b c.d\ndomain a.b\noptions ndots:5 edns0\n"], (text) => parseResolvConf(text), { throws: [], words: ["nameserver ", "search ", "options "] }),
  ofText("host-local: a file of name servers", ["nameserver 10.0.0.1\n"], read(dnsIn), { inputs: 200 }),
  ofText("plugins: CNI_ARGS", ["IgnoreUnknown=1;IP=10.0.0.1;MAC=02:00:00:00:00:01", "IP=10.0.0.1/24"], (text) => argumentsOf({ cniArgs: text }, ["IP", "MAC", "GATEWAY"]), { throws: [CniError], words: ["IgnoreUnknown=", "IP=", "__proto__=", ";"] }),
  ofText("tuning: what was before", [JSON.stringify({ mac: "02:00:00:00:00:01", mtu: 1500, promisc: false, allmulti: true, txQLen: 1000, network: "pods" })], backup, { throws: [], inputs: 300 }),
  ofText("flannel: stash", [JSON.stringify(delegate)], stash, { throws: [], inputs: 300 }),
  ofText("flannel: subnet.env", [flannel, flannelSix], parseLease, { words: flannelSix.split(/[\n=]/) }),
  ofText("flannel: the file of it", [flannel], read(readLease), { throws: [CniError], inputs: 200 }),
  ofText("flannel: the file of it, for DEL", [flannel], read(findLease), { throws: [], inputs: 200 }),
  ofText("plugins: a file with an object", [JSON.stringify(delegate)], read(findObject), { throws: [], inputs: 200 }),
  ofText("firewall: comment", ["pods/c1/eth0 isolated cni0", "pods/c1/eth0"], policyIn, { throws: [] }),
  ofBytes("dhcp: message", [ack], (bytes) => decodeMessage(bytes)),
  ofBytes("dhcp: grant", [ack], grant, { words: ["\x03\xc0\x00", "\x35\x01\x05", "\x77\x02\xc0\x00"] }),
  ofBytes("dhcp: values of options", [Uint8Array.of(10, 0, 0, 1), Uint8Array.of(1, 97, 1, 98, 0, 1, 99, 0xc0, 0), Uint8Array.of(16, 10, 9, 10, 0, 0, 1)], (bytes) => {
    for (const [, codec] of Object.values(OPTION)) {
      try {
        codec.read(bytes);
      } catch (error) {
        if (!(error instanceof RangeError) || !/wanted|Cannot/.test(error.message)) throw error;
      }
    }
  }),
  ofJson("dhcp: lease, wish, owner", [held, lease, wish], each(parseHeld, parseDhcpLease, parseOwner, parseWish)),
  ofText("dhcp: folder of leases", [JSON.stringify(held)], leases, { throws: [], inputs: 300 }),
  ofText("dhcp: question to the daemon", [JSON.stringify({ do: "add", wish }), JSON.stringify({ do: "collect", network: "pods", keep: [{ containerId: "c1", ifname: "eth0" }] })], questionFrom, { throws: [CniError] }),
];
