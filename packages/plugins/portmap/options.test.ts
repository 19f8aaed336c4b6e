/** portmap's options: what reads, what is refused in which words, and which backend a configuration asks for. */
import { expect, test } from "bun:test";
import { parseConfig } from "@vethwork/cni";
import { backendOf, options } from "./options.ts";

const read = (source: object) => parseConfig(options, { ...source });
const ports = (...portMappings: object[]) => read({ runtimeConfig: { portMappings } }).runtimeConfig.portMappings;

test("port mappings read as Kubernetes, containerd and podman write them", () => {
  const wanted = [{ hostPort: 8080, containerPort: 80, protocol: "tcp" as const, hostIP: "" }];
  expect(ports({ hostPort: 8080, containerPort: 80, protocol: "tcp" })).toEqual(wanted);
  expect(ports({ HostPort: 8080, ContainerPort: 80, Protocol: "TCP", HostIP: "" })).toEqual(wanted);
  expect(ports({ hostPort: 8080, containerPort: 80, protocol: "", hostIP: null })).toEqual(wanted);
  expect(ports({ hostPort: 1, containerPort: 65535, protocol: "SCTP", HostIP: "::1" })).toEqual([{ hostPort: 1, containerPort: 65535, protocol: "sctp", hostIP: "::1" }]);
  expect(read({ runtimeConfig: null }).runtimeConfig.portMappings).toEqual([]);
});

test("what cannot be a port, a protocol or an address is named with its place, its value and what is wanted", () => {
  const good = { hostPort: 8080, containerPort: 80, protocol: "tcp" };
  for (const [change, message] of [
    [{ hostPort: 70000 }, 'invalid option "runtimeConfig.portMappings[0].hostPort": 70000 (an integer from 1 to 65535 is wanted)'],
    [{ hostPort: 0 }, 'invalid option "runtimeConfig.portMappings[0].hostPort": 0 (an integer from 1 to 65535 is wanted)'],
    [{ containerPort: "80" }, 'invalid option "runtimeConfig.portMappings[0].containerPort": "80" (an integer from 1 to 65535 is wanted)'],
    [{ containerPort: undefined }, 'missing option "runtimeConfig.portMappings[0].containerPort" (an integer from 1 to 65535 is wanted)'],
    [{ protocol: "icmp" }, 'invalid option "runtimeConfig.portMappings[0].protocol": "icmp" (one of "tcp", "udp", "sctp" is wanted)'],
    [{ hostIP: "192.0.2" }, 'invalid option "runtimeConfig.portMappings[0].hostIP": "192.0.2" (an IP address is wanted)'],
  ] as const) expect(() => ports({ ...good, ...change })).toThrow(message);
  expect(() => read({ markMasqBit: 32 })).toThrow('invalid option "markMasqBit": 32 (an integer from 0 to 31 is wanted)');
  expect(() => read({ backend: "ipvs" })).toThrow('invalid option "backend": "ipvs" (one of "nftables", "iptables" is wanted)');
});

test("nftables it is, unless iptables is asked for, or an option of its own is there", () => {
  for (const [source, backend] of [
    [{}, "nftables"], [{ backend: "nftables" }, "nftables"], [{ backend: "iptables" }, "iptables"], [{ markMasqBit: 5 }, "nftables"],
    [{ externalSetMarkChain: "KUBE-MARK-MASQ" }, "iptables"], [{ conditionsV4: ["!", "-s", "10.0.0.0/8"] }, "iptables"], [{ conditionsV6: ["-d", "fd00::/8"] }, "iptables"],
    [{ conditionsV4: ["ip", "saddr", "10.0.0.0/8"] }, "nftables"], [{ conditionsV4: [], conditionsV6: [""] }, "nftables"],
  ] as const) expect({ source, backend: backendOf(read(source)) }).toEqual({ source, backend });
});

test("options that do not go together are refused in the reference's words", () => {
  for (const [source, message] of [
    [{ externalSetMarkChain: "X", markMasqBit: 13 }, "Cannot specify externalSetMarkChain and markMasqBit"],
    [{ backend: "nftables", externalSetMarkChain: "X", conditionsV4: ["-s", "10.0.0.0/8"] }, "nftables backend was requested but configuration contains iptables-specific options [externalSetMarkChain conditionsV4]"],
    [{ backend: "iptables", conditionsV4: ["a"], conditionsV6: ["b"] }, "iptables backend was requested but configuration contains nftables-specific options [conditionsV4 conditionsV6]"],
    [{ conditionsV4: ["-s", "10.0.0.0/8"], conditionsV6: ["ip6 saddr fd00::/8"] }, "iptables backend was requested but configuration contains nftables-specific options [conditionsV6]"],
  ] as const) expect(() => backendOf(read(source))).toThrow(message);
});
