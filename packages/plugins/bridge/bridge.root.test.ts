/** bridge on a node: what every interface plugin owes its pods. Its own options are in bridge.options.root.test.ts. */
import { dualIpam, interfaceSuite } from "../testing/interface-suite.ts";

const config = { cniVersion: "1.1.0", name: "mynet", type: "bridge", isDefaultGateway: true, ipMasq: true, macspoofchk: true, ipam: dualIpam };

interfaceSuite({
  config,
  damages: [
    ["an address of the pod", "ip -n pod1 addr del IP6/64 dev eth0", /"eth0" has lost its address fd00:1:2::\w+\/64/],
    ["the pod's default route", "ip -n pod1 route del default", /lost its route to 0\.0\.0\.0\/0 via 10\.1\.2\.1/],
    ["the pod's link", "ip -n pod1 link set eth0 down", /"eth0" is down/],
    ["the pod's interface", "ip -n pod1 link del eth0", /no interface "eth0"/],
    ["the pod's MAC address", "ip -n pod1 link set eth0 address 02:00:00:00:00:09", /MAC address 02:00:00:00:00:09 instead of/],
    ["the port", "ip link set NEAR nomaster", /"veth\w+" is no port of "cni0"/],
    ["the port's state", "ip link set NEAR down", /port "veth\w+" is down/],
    ["hairpin mode", "bridge link set dev NEAR hairpin on", /has hairpin mode on/],
    ["the bridge", "ip link del cni0", /the bridge "cni0" is gone/],
    ["the bridge's state", "ip link set cni0 down", /the bridge "cni0" is down/],
    ["the bridge's MAC address", "ip link set cni0 address 02:00:00:00:00:08", /the bridge "cni0" has the MAC address 02:00:00:00:00:08/],
    ["the gateway's address", "ip addr del 10.1.2.1/24 dev cni0", /"cni0" has lost its address 10\.1\.2\.1\/24/],
    ["forwarding", "sysctl -qw net.ipv6.conf.all.forwarding=0", /does not forward IPv6/],
    ["the masquerade rules", "nft delete table inet cni_plugins_masquerade", /masquerades 10\.1\.2\.\d+ is missing/],
    ["the check of MAC addresses", "nft flush chain bridge nat cni-br-iface-pod1-eth0-mac", /spoofed MAC addresses .* not as it should be/],
    ["the book's file", "rm /var/lib/cni/networks/mynet/IP4", /10\.1\.2\.\d+ is not reserved/],
  ],
});
