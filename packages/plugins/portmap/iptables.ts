/**
 * Host ports by iptables, for whoever asks for it: the reference's chains and rules, letter for letter, since administrators
 * have tools that look for them.
 *
 *     -A PREROUTING, OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
 *     -A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: …" -m multiport --dports 8080 [conditions] -j CNI-DN-70a29d…
 *     -A CNI-DN-70a29d… -s 10.1.2.0/24  -p tcp --dport 8080 -j CNI-HOSTPORT-SETMARK      its answer would get lost: mark it
 *     -A CNI-DN-70a29d… -s 127.0.0.1/32 -p tcp --dport 8080 -j CNI-HOSTPORT-SETMARK
 *     -A CNI-DN-70a29d… -p tcp --dport 8080 -j DNAT --to-destination 10.1.2.5:80
 *     -A POSTROUTING -j CNI-HOSTPORT-MASQ, which masquerades what is marked
 *
 * The chain is the container's in this network, whichever of its interfaces. One iptables-restore for each family makes
 * all of it, where the reference starts a process for each rule.
 */
import { CniError, ErrorCode } from "@vethwork/cni";
import { cidrOf, networkOf, parseCidr, parseIp, type Family, type Netns } from "@vethwork/linux";
import type { Owner } from "../shared/attachment.ts";
import { iptables, quoted } from "../shared/iptables.ts";
import { chainOf, iptablesComment } from "../shared/names.ts";
import { targetOf, type Mapping } from "./mappings.ts";
import type { PortMapping } from "./options.ts";
import type { Plan } from "./plan.ts";

const tools = iptables({ table: "nat", verb: "map host ports", instead: '"backend": "nftables"' });
const FAMILIES = [4, 6] as const;
const [DNAT, SETMARK, MASQ] = ["CNI-HOSTPORT-DNAT", "CNI-HOSTPORT-SETMARK", "CNI-HOSTPORT-MASQ"] as const;
const [OWN, OLD] = ["CNI-DN-", "CNI-SN-"] as const; // the second is an older version's, entered from CNI-HOSTPORT-SNAT
const MULTIPORT = 15; // ports that one multiport match takes
const LONGEST_COMMENT = 255;

type Rules = Pick<Plan, "owner" | "addresses" | "mappings" | "ports" | "snat" | "masqAll" | "scope" | "setMarkChain" | "conditions">;

/** Makes the rules so. Rules of the container that are others go. */
export function ensureRules(rules: Rules): void {
  const chain = chainOf(OWN, rules.owner);
  for (const { family } of rules.addresses) {
    tools.update(family, (listed) => {
      const shared = sharedLines(rules).filter(({ rule }) => !listed.includes(rule));
      const chains = new Set([...shared.map(({ chain: name }) => name), chain].filter((name) => name !== "" && !listed.includes(`-N ${name}`)));
      return [
        ...[...chains].map((name) => `-N ${name}`), // fails where another has just made it, and is then decided anew
        ...shared.map(({ rule, first }) => (first ? rule.replace(/^-A/, "-I") : rule)),
        ...entriesTo(chain, listed).map((text) => `-D ${text}`),
        `-F ${chain}`,
        ...entryLines(rules, family).map((text) => `-A ${DNAT} ${text} -j ${chain}`),
        ...rulesOfOwn(rules, family).map((text) => `-A ${chain} ${text}`),
      ];
    });
  }
}

/** Rules that all containers share, as `iptables -S` writes them, and the chain that each is in; "" is a chain that there always is. */
function sharedLines({ snat, setMarkChain, scope: { markBit } }: Rules): { chain: string; rule: string; first?: boolean }[] {
  const mark = `0x${(2 ** markBit).toString(16)}/0x${(2 ** markBit).toString(16)}`;
  const masquerade = [
    { chain: SETMARK, rule: `-A ${SETMARK} -m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark ${mark}` },
    { chain: MASQ, rule: `-A ${MASQ} -m mark --mark ${mark} -j MASQUERADE` },
    { chain: "", rule: `-A POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j ${MASQ}`, first: true },
  ];
  return [
    ...(snat && setMarkChain === undefined ? masquerade : []),
    ...["PREROUTING", "OUTPUT"].map((from) => ({ chain: DNAT, rule: `-A ${from} -m addrtype --dst-type LOCAL -j ${DNAT}` })),
  ];
}

/** What leads to the container's chain: for each protocol its ports, fifteen at a time. */
function entryLines({ owner, ports, conditions }: Rules, family: Family): string[] {
  const comment = `dnat ${iptablesComment(owner)}`;
  const short = comment.length > LONGEST_COMMENT ? `${comment.slice(0, LONGEST_COMMENT - 2)}...` : comment;
  const more = conditions[family].map((token) => ` ${/^[\w./:!,=+-]+$/.test(token) ? token : quoted(token)}`).join("");
  return portGroups(ports).map(({ protocol, list }) => `-p ${protocol} -m comment --comment ${quoted(short)} -m multiport --dports ${list}${more}`);
}

function portGroups(ports: readonly PortMapping[]): { protocol: string; list: string }[] {
  return [...Map.groupBy(ports, ({ protocol }) => protocol)].toSorted(([a], [b]) => (a < b ? -1 : 1)).flatMap(([protocol, some]) =>
    Array.from({ length: Math.ceil(some.length / MULTIPORT) }, (_, at) =>
      ({ protocol, list: some.slice(at * MULTIPORT, (at + 1) * MULTIPORT).map(({ hostPort }) => hostPort).join(",") })));
}

/** The rules of the container's chain, as `iptables -S` writes them. */
function rulesOfOwn({ mappings, snat, masqAll, setMarkChain }: Rules, family: Family): string[] {
  return mappings.filter((one) => one.family === family).flatMap((mapping) => {
    const { hostIp, protocol, hostPort, pod } = mapping;
    const match = `${hostIp ? `-d ${cidrOf(hostIp)} ` : ""}-p ${protocol} -m ${protocol} --dport ${hostPort}`;
    const sources = masqAll ? [""] : [`-s ${networkOf(pod)} `, ...(family === 4 ? ["-s 127.0.0.1/32 "] : [])];
    return [...(snat ? sources.map((source) => `${source}${match} -j ${setMarkChain ?? SETMARK}`) : []), `${match} -j DNAT --to-destination ${targetOf(mapping)}`];
  });
}

/** The rules that lead to a chain, without their verb. */
const entriesTo = (chain: string, listed: readonly string[]): string[] =>
  listed.filter((line) => line.startsWith("-A ") && line.endsWith(` -j ${chain}`)).map((line) => line.slice("-A ".length));

/** Whether the kernel has chains of the owner's, seen without a process; of iptables of long ago it cannot be seen. */
export const hasChains = (host: Netns, owner: Owner): boolean => [OWN, OLD].some((prefix) => tools.has(host, chainOf(prefix, owner)));
/** Whether there is a table of the kind of long ago, whose chains are not seen. */
export const isLegacy = (): boolean => tools.isLegacy();

/** Whether containers may have ports by iptables, of either family and kind. */
export const mayHavePorts = (host: Netns): boolean => tools.mayHave(host, DNAT);

/** Whether any container has IPv4 ports by iptables. */
export const hasPorts = (host: Netns): boolean =>
  host.nft.rules({ table: { family: "ip", name: "nat" }, name: DNAT }).length > 0
  || (tools.isLegacy() && (tools.find(4) ?? []).some((line) => line.startsWith(`-A ${DNAT} `)));

/** Takes the owner's chains away. Gives the mappings that are gone. */
export const deleteRules = (owner: Owner): Mapping[] => deleteChains((listed) => [OWN, OLD].map((prefix) => chainOf(prefix, owner)).filter((chain) => listed.includes(`-N ${chain}`)));

/** Takes away the network's chains of containers that are none of these. Gives the mappings that are gone. */
export function collectRules(network: string, keep: readonly Owner[]): Mapping[] {
  const kept = keep.map(({ containerId }) => containerId);
  return deleteChains((listed) => listed.flatMap((line) => {
    const [, name, id, chain] = /^-A CNI-HOSTPORT-DNAT .*--comment "dnat name: \\"(.*?)\\" id: \\"(.*?)\\"" .*-j (CNI-DN-[0-9a-f]{21})$/.exec(line) ?? [];
    return chain !== undefined && name === network && id !== undefined && !kept.includes(id) ? [chain] : [];
  }));
}

function deleteChains(staleIn: (listed: readonly string[]) => readonly string[]): Mapping[] {
  return FAMILIES.flatMap((family) => {
    const found = tools.find(family);
    if (!found) return [];
    let gone: Mapping[] = [];
    tools.update(family, (listed) => {
      const stale = [...new Set(staleIn(listed))];
      gone = listed.flatMap((line) => (stale.some((chain) => line.startsWith(`-A ${chain} `)) ? mappingFrom(family, line) : []));
      return stale.flatMap((chain) => [...entriesTo(chain, listed).map((text) => `-D ${text}`), `-F ${chain}`, `-X ${chain}`]);
    }, found);
    return gone;
  });
}

function mappingFrom(family: Family, line: string): Mapping[] {
  const [, protocol] = / -p (tcp|udp|sctp) /.exec(line) ?? [];
  const [, hostPort, ip, containerPort] = / --dport (\d+) .*-j DNAT --to-destination \[?([^\]\s]+?)\]?:(\d+)$/.exec(line) ?? [];
  if (ip === undefined || (protocol !== "tcp" && protocol !== "udp" && protocol !== "sctp")) return [];
  const hostIp = / -d (\S+) /.exec(line)?.[1];
  return [{ family, hostIp: hostIp === undefined ? undefined : parseCidr(hostIp).ip, protocol, hostPort: Number(hostPort), pod: cidrOf(parseIp(ip)), containerPort: Number(containerPort) }];
}

/** What of the rules is missing, in words. */
export function ruleFaults(rules: Rules): string[] {
  const chain = chainOf(OWN, rules.owner);
  return rules.addresses.flatMap(({ family }) => {
    const listed = tools.list(family);
    const missing = [...sharedLines(rules).map(({ rule }) => rule), ...rulesOfOwn(rules, family).map((text) => `-A ${chain} ${text}`)].filter((line) => !listed.includes(line));
    const entries = entriesTo(chain, listed);
    const lost = portGroups(rules.ports).filter(({ protocol, list }) => !entries.some((entry) => entry.includes(` -p ${protocol} `) && entry.includes(` --dports ${list} `)));
    return [
      ...missing.map((line) => `the IPv${family} rule "${line}" is missing`),
      ...lost.map(({ protocol, list }) => `no IPv${family} rule of ${DNAT} leads ${protocol} ports ${list} to ${chain}`),
    ];
  });
}

/** CniError 50 where neither family has a tool that works. */
export function checkUsable(): void {
  const [four, six] = FAMILIES.map((family) => {
    try {
      tools.list(family);
      return undefined;
    } catch (error) {
      if (error instanceof CniError) return `${error.message}${error.details ? `: ${error.details}` : ""}`;
      throw error;
    }
  });
  if (four === undefined || six === undefined) return;
  throw new CniError(ErrorCode.PLUGIN_NOT_AVAILABLE, "neither iptables nor ip6tables is usable", { details: `${four}; ${six}` });
}
