/** portmap's options, and which of the two backends they ask for. */
import { CniError, ErrorCode, boolean, config, integer, invalidOption, ip, list, object, oneOf, required, stringList, type ConfigOf, type Parser } from "@vethwork/cni";

/** Protocols that have ports, in any case: runtimes write them as they like. */
const protocol: Parser<Transport> = {
  describe: 'one of "tcp", "udp", "sctp"',
  schema: { enum: ["tcp", "udp", "sctp"] },
  emptyIsAbsent: true,
  parse(value, where) {
    const name = typeof value === "string" ? value.toLowerCase() : "";
    if (name === "tcp" || name === "udp" || name === "sctp") return name;
    throw invalidOption(where, value, this.describe);
  },
};
export type Transport = "tcp" | "udp" | "sctp";

/** A chain of iptables: what may stand after -j without being read as anything else. */
const chainName: Parser<string> = {
  describe: "the name of a chain, up to 28 letters without spaces or quotes", schema: { type: "string" }, zero: "", emptyIsAbsent: true,
  parse(value, where) {
    if (typeof value === "string" && /^[\w.:/+][\w.:/+-]{0,27}$/.test(value)) return value;
    throw invalidOption(where, value, this.describe);
  },
};

const port = integer({ min: 1, max: 65535 });

export const options = config({
  backend: [oneOf("nftables", "iptables"), undefined, "Which of them has the rules: nftables, unless an option here is iptables' own."],
  snat: [boolean, true, "Lend the node's address to packets that would find no way back: of the pod itself, of its subnet, of the node's 127.0.0.1."],
  masqAll: [boolean, false, "Lend it to every packet that comes by one of these ports."],
  markMasqBit: [integer({ min: 0, max: 31 }), undefined, "The bit of a packet's mark that says so; 13 unless given."],
  externalSetMarkChain: [chainName, undefined, "iptables: another's chain that sets such a mark, KUBE-MARK-MASQ say, and its own rules then masquerade."],
  conditionsV4: [stringList, [], "What else must hold of an IPv4 packet, in the backend's words: [\"ip\", \"saddr\", \"!=\", \"10.0.0.0/8\"] or [\"!\", \"-s\", \"10.0.0.0/8\"]."],
  conditionsV6: [stringList, [], "The same of an IPv6 packet."],
  runtimeConfig: [object({
    portMappings: [list(object({
      hostPort: [port, required, "The node's port."],
      containerPort: [port, required, "The pod's port that it leads to."],
      protocol: [protocol, "tcp", "tcp, udp or sctp."],
      hostIP: [ip, "", "The one address of the node that it is for; of 0.0.0.0 every IPv4 address, of :: every IPv6 address."],
    })), [], "Which ports of the node lead to the pod."],
  }), {}, "What the runtime supplies for declared capabilities: `portMappings`."],
});
export type Config = ConfigOf<typeof options>;
export type PortMapping = Config["runtimeConfig"]["portMappings"][number];

export type Backend = "nftables" | "iptables";
/** Kubernetes uses 14 and 15, Calico 20 to 31; 13 is the reference portmap's. */
export const USUAL_BIT = 13;

/** The backend that a configuration asks for. CniError 7 where it asks for both, or for what does not go together. */
export function backendOf(given: Pick<Config, "backend" | "externalSetMarkChain" | "markMasqBit" | "conditionsV4" | "conditionsV6">): Backend {
  if (given.externalSetMarkChain && given.markMasqBit !== undefined) {
    throw new CniError(ErrorCode.INVALID_CONFIG, "Cannot specify externalSetMarkChain and markMasqBit");
  }
  const own: Record<Backend, string[]> = { nftables: [], iptables: given.externalSetMarkChain ? ["externalSetMarkChain"] : [] };
  for (const name of ["conditionsV4", "conditionsV6"] as const) {
    const [first = ""] = given[name];
    if (first !== "") own[/^[-!]/.test(first) ? "iptables" : "nftables"].push(name);
  }
  const chosen = given.backend ?? (own.iptables.length > 0 ? "iptables" : "nftables");
  const other = chosen === "iptables" ? "nftables" : "iptables";
  if (own[other].length === 0) return chosen;
  throw new CniError(ErrorCode.INVALID_CONFIG, `${chosen} backend was requested but configuration contains ${other}-specific options [${own[other].join(" ")}]`);
}
