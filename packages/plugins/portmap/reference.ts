/**
 * What the reference portmap leaves with its nftables backend: a rule for each mapping, in `table ip cni_hostport` and
 * `table ip6 cni_hostport`, with the container's id as its comment.
 *
 *     chain hostports    { tcp dport 8080 dnat to 10.1.2.5:80 comment "4c1d…" }
 *     chain masquerading { ip saddr 10.1.2.5 ip daddr 10.1.2.5 masquerade comment "4c1d…" }
 *
 * A node may change its plugins while pods run: DEL takes these away, and CHECK is content with them.
 */
import { cidrOf, commentOf, ipFrom, protocolName, sameRule, words, type Chain, type Family, type KernelRule, type Netns, type Rule, type Table } from "@vethwork/linux";
import type { Mapping } from "./mappings.ts";

const tableOf = (family: Family): Table => ({ family: family === 4 ? "ip" : "ip6", name: "cni_hostport" });
/** Its chains with rules of containers; the second is that of older versions. */
const CHAINS = ["hostports", "hostip_hostports", "masquerading"] as const;

/** Takes away the container's rules, and with the last of any container the table. Gives the mappings that are gone. */
export function deleteReferenceRules(host: Netns, containerId: string, tables: readonly Table[]): Mapping[] {
  return ([4, 6] as const).flatMap((family) => {
    const table = tableOf(family);
    if (!tables.some((one) => one.family === table.family && one.name === table.name)) return [];
    let gone: Mapping[] = [];
    host.nft.update((change, nft) => {
      const rules = nft.rulesOf(table).filter(({ chain }) => CHAINS.some((name) => name === chain));
      const own = rules.filter((rule) => commentOf(rule) === containerId);
      gone = own.flatMap((rule) => mappingFrom(family, rule));
      if (own.length > 0 && own.length === rules.length) change.deleteTable(table);
      else for (const { chain, handle } of own) change.deleteRule({ table, name: chain }, handle);
    });
    return gone;
  });
}

/** Whether the reference has made rules for all of the mappings. */
export function hasReferenceRules(host: Netns, containerId: string, mappings: readonly Mapping[]): boolean {
  const listed = { 4: host.nft.rulesOf(tableOf(4)), 6: host.nft.rulesOf(tableOf(6)) };
  return mappings.every((mapping) => listed[mapping.family].some((one) => CHAINS.some((chain) => sameRule(one, ruleOf(mapping, { table: tableOf(mapping.family), name: chain }, containerId)))));
}

function ruleOf({ family, hostIp, protocol, hostPort, pod, containerPort }: Mapping, chain: Chain, comment: string): Rule {
  const address = hostIp ? [words.ipOf(family).daddr.eq(hostIp)] : [];
  return { chain, comment, words: [...address, words.portsOf(protocol).dport.eq(hostPort), words.dnat({ ip: pod.ip, port: containerPort })] };
}

/** A rule that translates, taken apart: what it compares with, by how many bytes that has, and what it puts in. None where it is another. */
function mappingFrom(family: Family, { expressions }: KernelRule): Mapping[] {
  const compared = expressions.flatMap((one) => (one.kind === "cmp" && one.data?.DATA?.VALUE ? [one.data.DATA.VALUE] : []));
  const put = expressions.flatMap((one) => (one.kind === "immediate" && one.data?.DATA?.VALUE ? [one.data.DATA.VALUE] : []));
  const ofLength = (list: readonly Uint8Array[], length: number): Uint8Array | undefined => list.find((bytes) => bytes.length === length);
  const addressLength = family === 4 ? 4 : 16;
  const [number, hostPort, hostIp] = [ofLength(compared, 1), ofLength(compared, 2), ofLength(compared, addressLength)];
  const [ip, containerPort] = [ofLength(put, addressLength), ofLength(put, 2)];
  const protocol = protocolName(number?.[0] ?? 0);
  if (!hostPort || !ip || !containerPort || (protocol !== "tcp" && protocol !== "udp" && protocol !== "sctp")) return [];
  return [{ family, hostIp: hostIp && ipFrom(hostIp), protocol, hostPort: portOf(hostPort), pod: cidrOf(ipFrom(ip)), containerPort: portOf(containerPort) }];
}

const portOf = ([high = 0, low = 0]: Uint8Array): number => high * 256 + low;
