/** bridge and the reference bridge, one beside the other, and one after the other. */
import { crossingSuite } from "../testing/crossing-suite.ts";
import { dualIpam } from "../testing/interface-suite.ts";

const one = { type: "host-local", subnet: "10.1.2.0/24" };

crossingSuite({
  type: "bridge",
  configs: {
    "one address": { ipam: one },
    "a gateway, both families": { isGateway: true, ipam: dualIpam },
    "a default gateway": { isDefaultGateway: true, ipam: one },
    "a gateway of its own": { isDefaultGateway: true, ipam: { ...one, gateway: "10.1.2.77" } },
    "another bridge, mtu and name servers": { bridge: "br9", mtu: 1400, isGateway: true, ipam: one, dns: { nameservers: ["192.0.2.53"], domain: "example" } },
    "hairpin": { hairpinMode: true, ipam: one },
    "promiscuous": { promiscMode: true, ipam: one },
    "routes": { isGateway: true, ipam: { ...one, routes: [{ dst: "192.0.2.0/24" }, { dst: "198.51.100.0/24", gw: "10.1.2.9" }] } },
    "MAC check": { macspoofchk: true, ipam: one },
    "a static address without a gateway": { isDefaultGateway: true, ipam: { type: "static", addresses: [{ address: "10.1.2.5/24" }] } },
    "masquerade by iptables": { isDefaultGateway: true, ipMasq: true, ipMasqBackend: "iptables", ipam: { type: "host-local", ranges: dualIpam.ranges } },
  },
});
