/** ptp and the reference ptp, one beside the other, and one after the other. */
import { crossingSuite } from "../testing/crossing-suite.ts";
import { dualIpam } from "../testing/interface-suite.ts";

const one = { type: "host-local", subnet: "10.1.2.0/24" };

crossingSuite({
  type: "ptp",
  configs: {
    "one address": { ipam: one },
    "both families": { ipam: dualIpam },
    "IPv6 alone": { ipam: { type: "host-local", ranges: [[{ subnet: "fd00:1:2::/64" }]], routes: [{ dst: "::/0" }] } },
    "mtu and name servers": { ipam: one, mtu: 1400, dns: { nameservers: ["192.0.2.53"] } },
    "routes": { ipam: { ...one, routes: [{ dst: "192.0.2.0/24" }, { dst: "198.51.100.0/24", gw: "10.1.2.9" }] } },
    "static": { ipam: { type: "static", addresses: [{ address: "10.1.2.5/24", gateway: "10.1.2.1" }], routes: [{ dst: "0.0.0.0/0" }], dns: { search: ["example"] } } },
    "masquerade by iptables": { ipam: dualIpam, ipMasq: true, ipMasqBackend: "iptables" },
  },
});
