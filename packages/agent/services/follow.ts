/**
 * What happens to a connection: the rules that there are, followed from the packet's first hook to its last.
 *
 *     from a pod, from outside ──► prerouting ──┐                      ┌──► postrouting ──► masqueraded or not
 *     from this node ────────────► output ──────┴─► sent to whom? ─────┴──► input, if that is this node
 *
 * Of services' table alone: what other tables let through is not asked.
 */
import { type Ip, type Nft } from "@vethwork/linux";
import { outcomesOf, type Outcome, type Packet, type Rules, type Step } from "@vethwork/linux/nft/machine.ts";
import { rulesThere } from "@vethwork/linux/nft/there.ts";
import type { TransportProtocol } from "../cluster.ts";
import { TABLE, allSets } from "./table.ts";

export interface Connection {
  from: Ip;
  to: Ip;
  protocol: TransportProtocol;
  port: number;
}

/** One of the things that may become of it. */
export interface Fate {
  /** "passed": no service has anything to do with it. */
  verdict: "sent" | "passed" | "refused" | "dropped";
  /** Where it goes. */
  to: Ip;
  port: number;
  isMasqueraded: boolean;
  /** Whose address and port it was sent to: `default/web:http ClusterIP`; "" where it is nobody's. */
  service: string;
  /** Who is there, where it is sent: `web-1 on node-1`. */
  endpoint: string;
  steps: readonly Step[];
}

/** Rules and elements of services as the kernel has them. */
export const serviceRules = (nft: Nft, isLocal: (ip: Ip) => boolean): Rules => rulesThere(nft, { table: TABLE, sets: allSets(), isLocal });

/** All that may become of it; several where it may go to several endpoints, each as likely as the others. */
export function follow(rules: Rules, { from, to, protocol, port }: Connection): Fate[] {
  const packet: Packet = { source: from, destination: to, protocol, sourcePort: 40_000, destinationPort: port, mark: 0, iifname: "", oifname: "", original: undefined };
  const isFromHere = rules.isLocal(from);
  return outcomesOf(rules, isFromHere ? "output" : "prerouting", packet).flatMap((outcome) => leaving(rules, outcome, isFromHere ? "postrouting" : "input"));
}

/** What this node sends to itself goes out by `lo` first, and comes in as what it has become. */
function leaving(rules: Rules, { verdict, packet, steps }: Outcome, toHere: "input" | "postrouting"): Fate[] {
  const { destination: to, destinationPort: port, original } = packet;
  const about = { to, port, service: steps.find(({ chain }) => chain === "services")?.comment ?? "", endpoint: original ? steps.at(-1)?.comment ?? "" : "" };
  if (verdict !== "accept") return [{ ...about, verdict: verdict === "reject" ? "refused" : "dropped", isMasqueraded: false, steps }];
  return outcomesOf(rules, rules.isLocal(to) ? toHere : "postrouting", packet).map((out) => ({
    ...about, verdict: original ? "sent" : "passed", isMasqueraded: out.isMasqueraded, steps: [...steps, ...out.steps],
  }));
}
