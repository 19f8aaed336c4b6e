/**
 * Who else translates addresses of services on this node: two that do are worse than none, as each takes what the other has already
 * changed for something else. Nobody's rules are touched but our own.
 */
import type { Netns } from "@vethwork/linux";

/** kube-proxy's tables in its nftables mode, and the chains of its iptables mode. */
const TABLE_NAME = "kube-proxy";
const CHAIN = "KUBE-SERVICES";
/** The device that holds all addresses of services in its ipvs mode. */
const DEVICE = "kube-ipvs0";

/** What is there of a kube-proxy, whether it still runs or not; undefined: nothing. */
export function rivalOn(host: Netns): string | undefined {
  const { nft } = host;
  const table = nft.tables().find(({ name }) => name === TABLE_NAME);
  if (table) return `table ${table.family} ${TABLE_NAME}`;
  for (const family of ["ip", "ip6"] as const) {
    if (nft.findChain({ table: { family, name: "nat" }, name: CHAIN })) return `chain ${CHAIN} of table ${family} nat`;
  }
  return host.links.find(DEVICE) ? `device ${DEVICE}` : undefined;
}
