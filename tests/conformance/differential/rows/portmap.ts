/** portmap behind a cable that the stage has, by either backend, and at the end of a chain. */
import type { JsonObject } from "@vethwork/cni";
import type { Row, Table } from "../table.ts";
import { dual, one4 } from "./addresses.ts";

/** eth0 is there, as a plugin before would have left it, and the node is the pod's gateway. */
const before = [
  "ip link add near address 02:00:00:00:02:01 type veth peer name eth0 address 02:00:00:00:02:05 netns pod1; ip link set near up",
  "ip addr add 10.1.2.1/24 dev near; ip addr add fd00:1:2::1/64 dev near nodad",
  "ip -n pod1 addr add 10.1.2.5/24 dev eth0; ip -n pod1 addr add fd00:1:2::5/64 dev eth0 nodad; ip -n pod1 link set eth0 up",
].join("\n");
const interfaces = [{ name: "near" }, { name: "eth0", mac: "02:00:00:00:02:05", sandbox: "/run/netns/pod1" }];
const [four, six] = [{ address: "10.1.2.5/24", gateway: "10.1.2.1", interface: 1 }, { address: "fd00:1:2::5/64", gateway: "fd00:1:2::1", interface: 1 }];
const prevResult = { interfaces, ips: [four, six] } as const;
const on = { before, prevResult } as const;
const capabilities = { portMappings: true } as const;

/** The ports as a runtime hands them over: those of pod1's port 80 unless more is said. */
const asked = (ports: readonly JsonObject[], options: JsonObject = {}): Pick<Row, "config" | "runtime"> =>
  ({ config: { ...options, capabilities }, runtime: { portMappings: ports.map((port) => ({ containerPort: 80, protocol: "tcp", ...port })) } });
const port = { hostPort: 8080 } as const;
const three = [port, { hostPort: 8080, containerPort: 53, protocol: "udp" }, { hostPort: 8081, protocol: "sctp" }] as const;
const addresses = [{ hostPort: 8080, hostIP: "192.0.2.1" }, { hostPort: 8081, hostIP: "2001:db8::1" }, { hostPort: 8082, hostIP: "0.0.0.0" }, { hostPort: 8083, hostIP: "::" }, { hostPort: 8084, hostIP: "127.0.0.1" }] as const;
const many = Array.from({ length: 33 }, (_, at) => ({ hostPort: 8000 + at }));
const KUBERNETES = "for family in iptables ip6tables; do $family -t nat -N KUBE-MARK-MASQ; done";

/** The same question to either backend. */
const byIptables = { backend: "iptables" } as const;
const byNftables = { backend: "nftables" } as const;

export const portmap: Table = {
  type: "portmap",
  differences: ["localhost-guard"],
  rows: {
    "0.3.1": { ...on, version: "0.3.1", prevResult: { interfaces, ips: [{ version: "4", ...four }, { version: "6", ...six }] }, ...asked([port], byIptables), play: "ADD; DEL" },
    "0.4.0": { ...on, version: "0.4.0", prevResult: { interfaces, ips: [{ version: "4", ...four }, { version: "6", ...six }] }, ...asked([port], byIptables) },
    "1.1.0": { ...on, version: "1.1.0", ...asked([port], byIptables) },
    "no ports": { ...on, ...asked([]) },
    "no runtimeConfig": { ...on, config: {} },
    "a port, by whatever is usual": { ...on, ...asked([port]), differences: ["ports-in-a-map"] },
    "three protocols, by whatever is usual": { ...on, ...asked(three), differences: ["ports-in-a-map"] },

    "iptables: a port": { ...on, ...asked([port], byIptables) },
    "iptables: three protocols": { ...on, ...asked(three, byIptables) },
    "iptables: addresses of the node": { ...on, ...asked(addresses, byIptables) },
    "iptables: more ports than a rule holds": { ...on, ...asked(many, byIptables) },
    "iptables: a pod with IPv4 alone": { ...on, prevResult: { interfaces, ips: [four] }, ...asked([port], byIptables) },
    "iptables: a pod with IPv6 alone": { ...on, prevResult: { interfaces, ips: [six] }, ...asked([port], byIptables) },
    "iptables: snat": { ...on, ...asked([port], { ...byIptables, snat: false }) },
    "iptables: masqAll": { ...on, ...asked([port], { ...byIptables, masqAll: true }), newer: "masqAll" },
    "iptables: markMasqBit": { ...on, ...asked([port], { ...byIptables, markMasqBit: 31 }) },
    "iptables: markMasqBit 0": { ...on, ...asked([port], { ...byIptables, markMasqBit: 0 }) },
    "iptables: conditions": { ...on, ...asked([port], { ...byIptables, conditionsV4: ["!", "-s", "10.0.0.0/8"], conditionsV6: ["-s", "2001:db8::/32", "-m", "comment", "--comment", "from there"] }) },
    "iptables by its words alone": { ...on, ...asked([port], { conditionsV4: ["!", "-s", "10.0.0.0/8"] }) },
    "iptables: another's mark": { ...on, before: `${before}; ${KUBERNETES}`, ...asked([port], { externalSetMarkChain: "KUBE-MARK-MASQ" }) },
    "iptables: a second pod": { ...on, before: `${before}\npod pod2; ADD pod2 >/dev/null`, ...asked([port], byIptables) },
    "iptables: ADD twice": { ...on, ...asked([port], byIptables), play: "ADD; ADD; CHECK; DEL" },
    "iptables: DEL twice": { ...on, ...asked([port], byIptables), play: "ADD; DEL; DEL" },
    "iptables: DEL without a namespace": { ...on, ...asked([port], byIptables), play: "ADD; NETNS= DEL" },
    "iptables: DEL when the namespace is gone": { ...on, ...asked([port], byIptables), play: "ADD; gone; DEL" },
    "iptables: DEL without prevResult": { ...on, ...asked([port], byIptables), play: "ADD; PREV= DEL" },
    "iptables: CHECK when the chain is empty": { ...on, ...asked([port], byIptables), play: "ADD; iptables -t nat -S | sed -n 's/^-N \\(CNI-DN-.*\\)/-F \\1/p' | xargs iptables -t nat; CHECK; DEL" },
    "iptables: CHECK when nothing leads to it": { ...on, ...asked([port], byIptables), play: "ADD; iptables -t nat -F CNI-HOSTPORT-DNAT; CHECK; DEL" },

    "nftables: a port": { ...on, ...asked([port], byNftables), differences: ["ports-in-a-map"] },
    "nftables: three protocols": { ...on, ...asked(three, byNftables), differences: ["ports-in-a-map"] },
    "nftables: addresses of the node": { ...on, ...asked(addresses, byNftables), differences: ["ports-in-a-map"] },
    "nftables: many ports": { ...on, ...asked(many, byNftables), differences: ["ports-in-a-map"] },
    "nftables: a pod with IPv4 alone": { ...on, prevResult: { interfaces, ips: [four] }, ...asked([port], byNftables), differences: ["ports-in-a-map"] },
    "nftables: a pod with IPv6 alone": { ...on, prevResult: { interfaces, ips: [six] }, ...asked([port], byNftables), differences: ["ports-in-a-map"] },
    "nftables: snat": { ...on, ...asked([port], { ...byNftables, snat: false }), differences: ["ports-in-a-map"] },
    "nftables: masqAll": { ...on, ...asked([port], { ...byNftables, masqAll: true }), differences: ["ports-in-a-map"] },
    "nftables: markMasqBit": { ...on, ...asked([port], { ...byNftables, markMasqBit: 31 }), differences: ["ports-in-a-map"] },
    "nftables: conditions": { ...on, ...asked([port], { ...byNftables, conditionsV4: ["ip", "saddr", "!=", "10.0.0.0/8"], conditionsV6: ["ip6", "saddr", "2001:db8::/32"] }), differences: ["ports-in-a-map"] },
    "nftables by its words alone": { ...on, ...asked([port], { conditionsV4: ["ip", "saddr", "!=", "10.0.0.0/8"] }), refusedBy: { who: "reference", difference: "portmap-conditions" } },
    "nftables: a second pod": { ...on, before: `${before}\npod pod2; ADD pod2 >/dev/null`, ...asked([port], byNftables), refusedBy: { who: "ours", difference: "portmap-taken" } },
    "nftables: ADD twice": { ...on, ...asked([port], byNftables), play: "ADD; ADD; CHECK; DEL", differences: ["ports-in-a-map"] },
    "nftables: DEL twice": { ...on, ...asked([port], byNftables), play: "ADD; DEL; DEL", differences: ["ports-in-a-map"] },
    "nftables: DEL without a namespace": { ...on, ...asked([port], byNftables), play: "ADD; NETNS= DEL", differences: ["ports-in-a-map"] },
    "nftables: DEL when the namespace is gone": { ...on, ...asked([port], byNftables), play: "ADD; gone; DEL", differences: ["ports-in-a-map"] },
    "nftables: DEL without prevResult": { ...on, ...asked([port], byNftables), play: "ADD; PREV= DEL", differences: ["ports-in-a-map"] },
    "nftables: CHECK when the rules are gone": { ...on, ...asked([port], byNftables), play: "ADD; nft flush ruleset; CHECK; DEL", differences: ["ports-in-a-map"] },

    "DEL of what was never added": { ...on, ...asked([port]), play: "DEL" },
    "a port for 127.0.0.1 alone": { ...on, ...asked([{ hostPort: 8080, hostIP: "127.0.0.1" }], byIptables) },
    "a port for ::1 alone": { ...on, ...asked([{ hostPort: 8080, hostIP: "::1" }], byIptables), differences: ["localhost-unused"] },
    "no addresses": { ...on, prevResult: { interfaces }, ...asked([port]) },
    "no prevResult": { before, ...asked([port]), refused: 7 },
    "a protocol in capitals": { ...on, ...asked([{ hostPort: 8080, protocol: "TCP" }], byIptables) },
    "no protocol": { ...on, ...asked([{ hostPort: 8080, protocol: "" }], byIptables), refusedBy: { who: "reference", difference: "portmap-protocol" } },
    "a protocol that is none": { ...on, ...asked([{ hostPort: 8080, protocol: "quic" }]), refused: 7, differences: ["portmap-failed"] },
    "a port of 0": { ...on, ...asked([{ hostPort: 0 }]), refused: 7 },
    "a pod's port of 0": { ...on, ...asked([{ hostPort: 8080, containerPort: 0 }]), refused: 7 },
    "a port above 65535": { ...on, ...asked([{ hostPort: 65_536 }], byIptables), refused: 7, differences: ["portmap-failed"] },
    "a hostIP that is none": { ...on, ...asked([{ hostPort: 8080, hostIP: "192.0.2" }]), refused: 7, differences: ["portmap-failed"] },
    "the same port twice": { ...on, ...asked([port, { hostPort: 8080, containerPort: 81 }], byIptables), refusedBy: { who: "ours", difference: "portmap-twice" } },
    "a mark bit above 31": { ...on, ...asked([port], { markMasqBit: 32 }), refused: 7 },
    "a mark bit below 0": { ...on, ...asked([port], { markMasqBit: -1 }), refused: 7 },
    "a mark bit and another's mark": { ...on, ...asked([port], { markMasqBit: 5, externalSetMarkChain: "KUBE-MARK-MASQ" }), refused: 7 },
    "another's mark by nftables": { ...on, ...asked([port], { ...byNftables, externalSetMarkChain: "KUBE-MARK-MASQ" }), refused: 7 },
    "the other backend's words": { ...on, ...asked([port], { ...byIptables, conditionsV4: ["ip", "saddr", "10.0.0.0/8"] }), refused: 7 },
    "a backend that is none": { ...on, ...asked([port], { backend: "ebpf" }), refused: 7 },
    "a chain that there is not": { ...on, ...asked([port], { externalSetMarkChain: "NOBODY" }), refused: 999, differences: ["portmap-failed"] },
    "behind bridge": { config: [{ type: "bridge", isDefaultGateway: true, ipMasq: true, ipMasqBackend: "iptables", ipam: dual }, { type: "portmap", ...byIptables, capabilities }], runtime: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }] }, differences: ["cable-alias", "cable-queue", "no-dad", "accept-ra", "by-attachment", "lock-mode"] },
    "behind bridge, by nftables": { config: [{ type: "bridge", isDefaultGateway: true, ipMasq: true, ipMasqBackend: "nftables", ipam: dual }, { type: "portmap", ...byNftables, capabilities }], runtime: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }] }, differences: ["iptables-words", "ports-in-a-map", "cable-alias", "cable-queue", "no-dad", "accept-ra", "by-attachment", "lock-mode", "empty-tables"] },
    "behind ptp": { config: [{ type: "ptp", ipMasq: true, ipMasqBackend: "iptables", ipam: one4 }, { type: "portmap", ...byIptables, capabilities }], runtime: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp", hostIP: "192.0.2.1" }] }, differences: ["localhost-unused", "cable-alias", "cable-queue", "no-dad", "by-attachment", "lock-mode"] },
  },
};
