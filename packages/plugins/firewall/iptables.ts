/**
 * The firewall by iptables, chain for chain and rule for rule as the reference plugin makes it, so that either takes away
 * what the other made.
 *
 *     -A FORWARD -j CNI-ISOLATION-STAGE-1                 first, where there is an ingress policy
 *     -A FORWARD -j CNI-FORWARD
 *     -A CNI-FORWARD -j CNI-ADMIN                         the administrator's own, before ours
 *     -A CNI-FORWARD -d 10.1.2.2/32 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
 *     -A CNI-FORWARD -s 10.1.2.2/32 -j ACCEPT
 *     -A CNI-ISOLATION-STAGE-1 -i cni0 -o cni0 -j DROP              isolated: no pod of the bridge to another
 *     -A CNI-ISOLATION-STAGE-1 -i cni0 ! -o cni0 -j CNI-ISOLATION-STAGE-2
 *     -A CNI-ISOLATION-STAGE-2 -o cni0 -j DROP                      and none from behind another such bridge
 *
 * All of a change is one iptables-restore. The rules bear no name: whose they are is written down in ./record.ts. Chains and
 * the rules of a bridge go with their last user; the reference leaves them. Pods of the reference's, of which nothing is
 * written down, are known by their addresses, and as long as there is one no bridge loses its rules.
 */
import { CniError, ErrorCode } from "@vethwork/cni";
import type { Family, Ip, Netns } from "@vethwork/linux";
import { iptables, isLegacyTool } from "../shared/iptables.ts";
import type { Made } from "./record.ts";

const tools = iptables({ table: "filter", verb: "let pods through", instead: '"backend": "nftables"' });

const [PODS, STAGE_1, STAGE_2] = ["CNI-FORWARD", "CNI-ISOLATION-STAGE-1", "CNI-ISOLATION-STAGE-2"];
const comment = (text: string): string => `-m comment --comment "CNI firewall plugin ${text}"`;
const ISOLATION = comment("rules (ingressPolicy: same-bridge|isolated)");
const FORWARD_JUMP = `-I FORWARD ${comment("rules")} -j ${PODS}`;
const ADMIN_JUMP = `-I ${PODS} ${comment("admin overrides")} -j `;

/**
 * What a rule does, as `iptables -S` lists it: a command puts it at the chain's head (-I) or end (-A), and the comments of
 * policies differ between versions of the reference.
 */
const meaningOf = (line: string): string => line.replace(/^-I/, "-A").replace(/ -m comment --comment "CNI firewall plugin rules \(ingressPolicy: [^"]*\)"/, "");

const frameLines = (admin: string): string[] => [FORWARD_JUMP, ADMIN_JUMP + admin];
const STAGES: readonly string[] = [`-I FORWARD ${ISOLATION} -j ${STAGE_1}`, `-A ${STAGE_1} ${ISOLATION} -j RETURN`, `-A ${STAGE_2} ${ISOLATION} -j RETURN`];

function podLines(ip: Ip): string[] {
  const whole = `${ip}/${ip.family === 4 ? 32 : 128}`;
  return [`-A ${PODS} -d ${whole} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`, `-A ${PODS} -s ${whole} -j ACCEPT`];
}

function bridgeLines({ bridge, policy }: Pick<Made, "bridge" | "policy">): string[] {
  if (policy === "open") return [];
  const why = comment(`rules (ingressPolicy: ${policy})`);
  return [
    `-I ${STAGE_1} -i ${bridge} ! -o ${bridge} ${why} -j ${STAGE_2}`,
    ...(policy === "isolated" ? [`-I ${STAGE_1} -i ${bridge} -o ${bridge} ${why} -j DROP`] : []),
    `-I ${STAGE_2} -o ${bridge} ${ISOLATION} -j DROP`,
  ];
}

/** What an attachment wants of a family, in the reference's order; nothing where it has no address of it. Behind firewalld the reference has its policies here, too. */
function linesFor(made: Made, family: Family): string[] {
  const own = made.addresses.filter((ip) => ip.family === family);
  if (own.length === 0) return [];
  const pods = made.backend === "iptables" ? [...frameLines(made.place), ...own.flatMap(podLines)] : [];
  return [...pods, ...(made.policy === "open" ? [] : STAGES), ...bridgeLines(made)];
}

/** Makes the attachment's rules. */
export function ensureRules(made: Made): void {
  for (const family of familiesOf([made])) {
    tools.update(family, (listed) => {
      const missing = missingIn(listed, linesFor(made, family));
      const chains = new Set(missing.flatMap((line) => [chainIn(line), targetIn(line)]).filter(isOwnChain(made.place)));
      return [...[...chains].filter((chain) => !listed.includes(`-N ${chain}`)).map((chain) => `-N ${chain}`), ...missing];
    });
  }
}

/** Takes away the rules of those who leave, but what those who stay want, too; then the chains that nobody needs any more. */
export function deleteRules(leaving: readonly Made[], staying: readonly Made[]): void {
  for (const family of familiesOf(leaving)) {
    const found = tools.find(family);
    if (found) tools.update(family, (listed) => deletions(listed, { family, leaving, staying }), found);
  }
}

/** What is missing, in words. */
export function ruleFaults(made: Made): string[] {
  return familiesOf([made]).flatMap((family) => {
    const missing = missingIn(tools.list(family), linesFor(made, family));
    return missing.map((line) => `rule "${meaningOf(line)}" is missing in ${family === 4 ? "iptables" : "ip6tables"}`);
  });
}

/** Whether iptables may have rules of anybody's pods. */
export const mayHaveRules = (host: Netns): boolean => tools.mayHave(host, PODS);

/** True where the rules that a node goes by are those of long ago, which only their own iptables can change. */
export const rulesThisNode = (): boolean => tools.isLegacy() && isLegacyTool();

/** STATUS: CniError 50 where iptables cannot be used. Addresses of IPv6 may never come: ip6tables is asked for then. */
export function statusOfRules(): void {
  try {
    tools.list(4);
  } catch (error) {
    throw new CniError(ErrorCode.PLUGIN_NOT_AVAILABLE, "iptables cannot be used", { cause: error });
  }
}

const familiesOf = (those: readonly Made[]): Family[] => ([4, 6] as const).filter((family) => those.some(({ addresses }) => addresses.some((ip) => ip.family === family)));

function missingIn(listed: readonly string[], lines: readonly string[]): string[] {
  const there = new Set(listed.map(meaningOf));
  return lines.filter((line) => !there.has(meaningOf(line)));
}

interface Leave {
  family: Family;
  leaving: readonly Made[];
  staying: readonly Made[];
}

function deletions(listed: readonly string[], { family, leaving, staying }: Leave): string[] {
  const wanted = new Set(staying.flatMap((made) => linesFor(made, family)).map(meaningOf));
  const freeOf = (lines: readonly string[]): string[] => {
    const meant = new Set(lines.map(meaningOf).filter((line) => !wanted.has(line)));
    return listed.filter((line) => meant.has(meaningOf(line)));
  };
  const pods = freeOf(leaving.flatMap(({ addresses }) => addresses.filter((ip) => ip.family === family).flatMap(podLines)));
  const known = new Set([...wanted, ...pods]);
  const hasUnknown = listed.some((line) => line.startsWith(`-A ${PODS} `) && !line.startsWith(meaningOf(ADMIN_JUMP)) && !known.has(line));
  const gone = [...pods, ...(hasUnknown ? [] : freeOf(leaving.flatMap(bridgeLines)))];
  const rest = listed.filter((line) => !gone.includes(line));
  const [stages, frame] = [unusedStages(rest), unusedFrame(rest)];
  return [...[...gone, ...stages.rules, ...frame.rules].map((line) => line.replace(/^-A/, "-D")), ...[...stages.chains, ...frame.chains].map((chain) => `-X ${chain}`)];
}

/** Rules as listed, and chains, that nobody needs. */
interface Unused {
  rules: readonly string[];
  chains: readonly string[];
}

/** The two stages, once no bridge has a rule in them. */
function unusedStages(listed: readonly string[]): Unused {
  const frame = new Set(STAGES.map(meaningOf));
  const inside = listed.filter((line) => line.startsWith(`-A ${STAGE_1} `) || line.startsWith(`-A ${STAGE_2} `));
  if (!listed.includes(`-N ${STAGE_1}`) || inside.some((line) => !frame.has(meaningOf(line)))) return { rules: [], chains: [] };
  return { rules: listed.filter((line) => frame.has(meaningOf(line))), chains: [STAGE_1, STAGE_2].filter((chain) => listed.includes(`-N ${chain}`)) };
}

/** The pods' chain, once only the way into administrators' chains is left in it, and those are empty. */
function unusedFrame(listed: readonly string[]): Unused {
  const inside = listed.filter((line) => line.startsWith(`-A ${PODS} `));
  const admins = inside.map((line) => (line.startsWith(meaningOf(ADMIN_JUMP)) ? targetIn(line) : undefined)).filter((chain) => chain !== undefined);
  const isEmpty = (chain: string): boolean => !listed.some((line) => line.startsWith(`-A ${chain} `));
  if (!listed.includes(`-N ${PODS}`) || admins.length < inside.length || !admins.every(isEmpty)) return { rules: [], chains: [] };
  const isUsed = (chain: string): boolean => listed.some((line) => line.startsWith("-A ") && targetIn(line) === chain && !inside.includes(line));
  return { rules: [...listed.filter((line) => line === meaningOf(FORWARD_JUMP)), ...inside], chains: [PODS, ...admins.filter((chain) => !isUsed(chain))] };
}

const chainIn = (line: string): string => line.split(" ")[1] ?? "";
const targetIn = (line: string): string => line.split(" ").at(-1) ?? "";
const isOwnChain = (admin: string) => (name: string): boolean => name === PODS || name === STAGE_1 || name === STAGE_2 || name === admin;
