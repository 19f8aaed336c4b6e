/**
 * The differences that are meant, by name: what of them may be seen in a play, on the reference's side and on ours. Each name
 * is an anchor in docs/differences.md, where it says why. A pattern meets a line of facts.ts behind its step: "DEL: file …".
 */

export interface Difference {
  /** Lines that only the reference's play has. */
  reference?: readonly RegExp[];
  /** Lines that only ours has. */
  ours?: readonly RegExp[];
  /** Lines that are odd where one goes on with what the other began, on whichever side. */
  crossing?: readonly RegExp[];
  /** Part of a line of ours, and what the reference has instead of it. */
  rewrite?: readonly [RegExp, string];
}

const forwarding = / node sysctl net\/(?:ipv4\/ip_forward|ipv[46]\/conf\/(?:all|default|eth0|lo)\/(?:forwarding|accept_redirects)): [01]$/;
const masqueradeTable = / nft table inet cni_plugins_masquerade\b/;
/** What the other made does not pass CHECK. */
const checked = (type: string): RegExp => new RegExp(`^CHECK: ${type} exit: [01]$`);
const says = / error: \d+$/;

const known = {
  // All plugins
  "error-codes": { reference: [/ error: 999$/], ours: [says] },
  "del-of-refused": { reference: [/^DEL[^:]*: .* exit: 1$/, /^DEL[^:]*: .* error: 999$/], ours: [/^DEL[^:]*: .* exit: 0$/] },
  "no-folder-for-nothing": { reference: [/ folder \/var\/lib\/cni(?:\/networks(?:\/mynet)?)? mode 755$/, / file \S+\/lock mode 750: ""$/, / file \S+\/last_reserved_ip\.\d mode 600: /] },
  "failed-add": {
    reference: [/^(?:ADD|DEL): (?:node link (?:veth\(pod1\/eth0\)|cni0)|pod1 (?:link (?:eth0|veth\(\?\)|blue)|rule[46] priority 1000 src all l3mdev .*))$/, / node link cni0 (?:address|flag|info_data\.(?:bridge|root)_id)\b/, /^ADD: file \/run\/cni\/tuning\/pod1_eth0\.json /, /^ADD: pod1 (?:link lo |route .* dev lo )/, forwarding],
    ours: [/^ADD: pod1 link lo addresses in order: /, / node link cni0 (?:address: 00:00:00:00:00:00|info_data\.(?:bridge|root)_id: 8000\.00:00:00:00:00:00)$/, forwarding],
  },

  // IPAM
  "by-attachment": { ours: [/ file \S+\/by-attachment\/\S+ mode 600: /, / folder \S+\/by-attachment mode 700$/] },
  "lock-mode": { reference: [/ file \S+\/lock mode 750: ""$/], ours: [/ file \S+\/lock mode 600: ""$/] },
  "older-reference": {
    reference: [/ pod\d sysctl net\/ipv6\/conf\/eth0\/(?:keep_addr_on_down|ndisc_notify): 0$/, /^DEL[^:]*: ip6?tables nat chain (?:INPUT|OUTPUT|POSTROUTING|PREROUTING) ACCEPT$/],
    ours: [/ pod\d sysctl net\/ipv6\/conf\/eth0\/(?:keep_addr_on_down|ndisc_notify): 1$/, / pod\d link eth0 txqlen: 1000$/],
    rewrite: [/(?<=^file \/(?:var\/lib\/cni\/networks|run\/elsewhere)\/mynet\/\S+ mode )600/, "644"],
  },
  "static-gateway": { ours: [/ static result ips\[0\]\.gateway: 10\.1\.2\.77$/] },
  "broken-ranges": {},

  // Cables
  "cable-alias": { ours: [/ node link veth\(\S+\) ifalias: vethwork /] },
  "cable-queue": { ours: [/ node link veth\(\S+\) txqlen: 1000$/] },
  "no-dad": {
    reference: [/ sysctl net\/ipv6\/conf\/\S+\/accept_dad: -?1$/],
    ours: [/ sysctl net\/ipv6\/conf\/\S+\/accept_dad: 0$/],
    rewrite: [/(?<= address \S+ family inet6 scope global) nodad true(?= )/, ""],
  },
  "accept-ra": { reference: [/ node sysctl net\/ipv6\/conf\/(?:eth0|cni0\.\d+)\/accept_ra: 1$/], ours: [/ node sysctl net\/ipv6\/conf\/(?:eth0|cni0\.\d+)\/accept_ra: 2$/] },
  "route-metrics": {
    reference: [/ pod1 route type unicast dst 198\.51\.100\.0\/24 gateway \S+ dev eth0 table main protocol boot scope global$/],
    ours: [/ pod1 route type unicast dst 198\.51\.100\.0\/24 gateway \S+ dev eth0 table main protocol boot scope global metrics /],
  },
  "nftables-first": { reference: [/ ip6?tables nat /], ours: [masqueradeTable] },
  "empty-tables": { reference: [masqueradeTable, / nft table bridge nat(?:$| > chain PREROUTING(?:$| 1: type ))/] },
  "iptables-words": { reference: [/^DEL: .* (?:exit: 1|error: 999)$/, /^DEL: file \/var\/lib\/cni\/flannel\/pod1 /], ours: [/^DEL: .* exit: 0$/] },
  "del-by-labels": {
    reference: [/^DEL: ip6?tables nat /, /^DEL: nft table bridge nat\b/, /^DEL: (?:node link veth\(\S+\)|pod1 link eth0|node link cni0 flag LOWER_UP)$/, /^DEL: node .*cni0(?: |\/)mtu: 1450$/],
    ours: [/^DEL: node .*cni0(?: |\/)mtu: 1500$/, /^DEL: nft table bridge nat > chain cni-br-iface-pod1-eth0-mac 1: /],
  },
  "check-without-ipam": { reference: [/^CHECK: bridge (?:exit: 1|error: 999)$/], ours: [/^CHECK: bridge exit: 0$/] },
  "check-tables": { reference: [/^CHECK: \S+ (?:exit: 1|error: 999)$/], ours: [/^CHECK: \S+ exit: 0$/] },
  "vlan-gateway": {
    reference: [/^DEL: node link (?:cni0\.100|veth\(node\/cni0\.100\)|cni0 flag LOWER_UP|cni0 (?:address|info_data\.(?:bridge|root)_id): \S*mac\(.*)$/],
    ours: [/^DEL: node link cni0 (?:address|info_data\.(?:bridge|root)_id): (?:8000\.)?00:00:00:00:00:00$/],
  },
  "vlan-in-trunk": { reference: [/ node port veth\(pod1\/eth0\) vlan 100$/], ours: [/ node port veth\(pod1\/eth0\) vlan 100 flags \["PVID","Egress Untagged"\]$/] },
  "default-route-once": {},
  "null-in-trunk": { reference: [/^(?:ADD|DEL): bridge exit: 2$/], ours: [/^(?:ADD|DEL): bridge exit: [01]$/] },
  "gateway-twice": {},
  "whole-subnet": {},
  "empty-dns": { ours: [/ result dns\.nameservers\[0\]: 192\.0\.2\.53$/] },

  // Devices
  "dns-of-ipam": { ours: [/ result dns\.nameservers\[0\]: 192\.0\.2\.53$/] },
  "dns-of-dummy": { ours: [/ dummy result dns\.nameservers\[0\]: 192\.0\.2\.53$/] },
  "del-without-parent": { reference: [/^DEL: \S+ (?:exit: 1|error: 999)$/, /^DEL: file \S+ mode 600: "pod1\\r\\neth0"$/], ours: [/^DEL: \S+ exit: 0$/] },
  "device-back": { reference: [/^(?:ADD|DEL): pod1 link eth0$/], ours: [/^(?:ADD|DEL): node link (?:dev0|far0 link: dev0)$/] },
  "device-gone": { reference: [/^DEL[^:]*: host-device (?:exit: 1|error: 999)$/, /^DEL: file \S+\/10\.1\.2\.2 mode 600: /], ours: [/^DEL[^:]*: host-device exit: 0$/] },
  "tap-dad": { reference: [/ tentative true /, / route type multicast dst ff00::\/8 dev eth0 /], ours: [/ route type local dst fd00:1:2::2 dev eth0 /, / eth0 address fd00:1:2::2\/64 family inet6 scope global nodad true /] },
  "tap-flags": { reference: [/ info_data\.(?:pi|vnet_hdr): true$/], ours: [/ info_data\.(?:pi|vnet_hdr): false$/] },
  "tap-owned": {
    reference: [/ eth0 (?:address: mac\(pod1\/eth0\)|mtu: 1500)$/, /\/eth0\/mtu: 1500$/, / result interfaces\[0\]\.mac of eth0: mac\(/],
    ours: [/ eth0 (?:address: 0a:58:0a:01:02:11|mtu: 1400)$/, /\/eth0\/mtu: 1400$/, / result interfaces\[0\]\.mac of eth0: 0a:58:0a:01:02:11$/],
  },
  "tap-taken": {},
  "loopback-result": {
    reference: [/ loopback result (?:interfaces\[0\]|ips\[[01]\])\./],
    ours: [/ loopback result (?:dns: \{\}|ip[46]\.ip: \S+|ips\[[01]\]\.version: [46])$/],
  },

  // flannel
  "flannel-stash": { rewrite: [/^(file \/\S+\/pod\d mode 600: .*)\\"ranges\\":\[\[\{(\\"subnet\\":\\"[0-9./]+\\")\}\]\],(\\"routes\\":\[[^\]]*\],)(.*),\\"vethwork\/ifname\\":\\"(?:eth0|net1)\\"/, "$1$3$2,$4"] },
  "flannel-failed": { reference: [/^(?:ADD|DEL): (?:file|folder) \/var\/lib\/cni\/flannel(?:\/pod1)? mode [67]00/] },
  "flannel-crash": { reference: [/^ADD: flannel exit: 2$/], ours: [/^ADD: flannel exit: 1$/] },

  // Chained plugins
  "ifb-alias": { ours: [/ node link bwp[0-9a-f]+ ifalias: vethwork mynet pod\d\/(?:eth0|net1)$/] },
  "one-action": { reference: [/ node filter \S+ action order 2: mirred \(Egress Redirect to device \S+\) pass$/] },
  "bandwidth-queue": { rewrite: [/ limit \d+b$/, " lat 25ms"], crossing: [checked("bandwidth")] },
  "bandwidth-bucket": { rewrite: [/ burst 1513b /, " burst 1000b "], crossing: [checked("bandwidth")] },
  "bandwidth-numbers": { rewrite: [/ burst 219319b lat 996s$/, " burst 116240b lat 1.1e+03s"], crossing: [checked("bandwidth")] },
  "bandwidth-subnets": {
    reference: [/ node (?:link near qdisc: tbf|qdisc (?:tbf|ingress) \S+ dev near .*|filter near .*)$/, / bandwidth result interfaces\[2\]\./],
    ours: [/ node (?:link near qdisc: noqueue|qdisc (?:noqueue|clsact) \S+ dev near .*|link bwp[0-9a-f]+)$/, / bandwidth result interfaces\[[23]\]\./],
    crossing: [checked("bandwidth")],
  },
  "bandwidth-check": { reference: [/^CHECK: bandwidth exit: 0$/], ours: [/^CHECK: bandwidth exit: 1$/] },
  "bandwidth-in-pod": {},
  "bandwidth-unnamed": {},
  "firewall-nftables": { reference: [/ ip6?tables filter /], ours: [/ nft table inet vethwork-firewall\b/], crossing: [checked("firewall")] },
  "firewall-record": { ours: [/ (?:file|folder) \/run\/vethwork(?:\/\.firewall\S*)? mode /] },
  "firewall-chains": { reference: [/^DEL[^:]*: ip6?tables filter /], ours: [/^DEL: iptables filter FORWARD 1: -s 203\.0\.113\.0\/24 -j ACCEPT$/] },
  "firewall-failed": { reference: [/^(?:ADD|DEL): ip6?tables filter /] },
  "firewall-isolated": { reference: [/ node (?:link \S+ info_slave_data\.|port \S+ )isolated: false$/], ours: [/ node (?:link \S+ info_slave_data\.|port \S+ )isolated: true$/] },
  "firewall-check": { reference: [/^CHECK: firewall exit: 0$/], ours: [/^CHECK: firewall exit: 1$/] },
  "firewall-backend": {},
  "firewall-versions": {},
  "localhost-guard": {
    reference: [/^DEL[^:]*: node sysctl net\/ipv4\/conf\/\S+\/route_localnet: 1$/],
    ours: [/ nft table inet vethwork-hostports(?:$| > (?:chain guard|set localnet)\b)/, /^DEL[^:]*: node sysctl net\/ipv4\/conf\/\S+\/route_localnet: 0$/],
  },
  "localhost-unused": { reference: [/^(?:ADD|CHECK): node sysctl net\/ipv4\/conf\/\S+\/route_localnet: 1$/], ours: [/^(?:ADD|CHECK): node sysctl net\/ipv4\/conf\/\S+\/route_localnet: 0$/] },
  "ports-in-a-map": { reference: [/ ip6?tables nat /, / nft table ip6? cni_hostport\b/], ours: [/ nft table inet vethwork-hostports\b/], crossing: [checked("portmap")] },
  "portmap-conditions": {},
  "portmap-taken": {},
  "portmap-twice": {},
  "portmap-protocol": {},
  "portmap-failed": { reference: [/^(?:ADD|DEL): ip6?tables nat /, /^ADD: node sysctl \S+\/route_localnet: 1$/], ours: [/^ADD: node sysctl \S+\/route_localnet: 0$/] },
  "sbr-stays": {
    reference: [/ pod1 route type unicast dst (?:fd09|fe80)::\/64 dev net1 table 10[01] protocol kernel /],
    ours: [/ pod1 route type unicast dst (?:2001:db8:7::\/48 gateway fd09::1|fd09::\/64|fe80::\/64|10\.9\.0\.0\/24|198\.51\.100\.0\/24 gateway 10\.9\.0\.1) dev net1 table main /],
  },
  "sbr-newer-options": {
    reference: [/ route type unicast dst default gateway (?:10\.9\.0\.1|fd09::1) dev net1 table 10[01] /],
    ours: [/ route type unicast dst default gateway (?:10\.9\.0\.99|fd09::99) dev net1 table 10[01] /, / route type unicast dst (?:10\.9\.0\.0\/24|fd09::\/64) dev net1 table main protocol boot scope \w+ prefsrc /, /^CHECK: sbr exit: [01]$/],
  },
  "sbr-nothing-of-it": {},
  "sbr-del": { reference: [/^DEL: (?:sbr exit: 1|sbr error: 999|file \/run\/netns\/pod1 mode 0: "")$/], ours: [/^DEL: sbr exit: 0$/] },
  "sbr-rules": { reference: [/^DEL: pod1 rule[46] priority 32765 src (?:10\.9\.0\.7|fd09::7) table 10[01](?: protocol \w+)?$/] },
  "sbr-check": { reference: [/^CHECK: sbr exit: 0$/], ours: [/^CHECK: sbr exit: 1$/] },
  "vrf-of-others": {
    reference: [/^DEL: pod1 route type \w+ dst \S+ dev net1 table (?:local|main) /],
    ours: [/^DEL: pod1 link net1 (?:info_slave_data\.table: 9|info_slave_kind: vrf|master: red)$/, /^DEL: pod1 route type \w+ dst \S+ dev net1 table 9 /],
  },
  "vrf-second": { ours: [/ pod1 route type unicast dst fe80::\/64 dev net1 table 1 protocol kernel /] },
  "vrf-del": { reference: [/^DEL: (?:pod1 link blue|vrf exit: 1|vrf error: 999)$/], ours: [/^DEL: vrf exit: 0$/] },
  "tuning-folder": {
    reference: [/ folder \/run\/(?:cni|cni\/tuning|elsewhere) mode 600$/], ours: [/ folder \/run\/(?:cni|cni\/tuning|elsewhere) mode 700$/],
    rewrite: [/(?<=^file \/run\/(?:cni\/tuning|elsewhere)\/pod\d_\w+\.json mode 600: "\{\\n .*),\\n \\"network\\": \\"mynet\\"(?=\\n\}"$)/, ""],
  },
  "tuning-forgets": { reference: [/^DEL: (?:file \/run\/cni\/tuning\/pod1_eth0\.json|folder \/run\/cni) /] },
  "tuning-twice": { reference: [/^DEL: pod1 (?:link eth0 mtu|sysctl net\/ipv6\/conf\/eth0\/mtu): 1400$/, / file \S+\/pod1_eth0\.json mode 600: /, /^CHECK: tuning /], ours: [/^DEL: pod1 (?:link eth0 mtu|sysctl net\/ipv6\/conf\/eth0\/mtu): 1500$/, / file \S+\/pod1_eth0\.json mode 600: /, /^CHECK: tuning /] },
  "tuning-spelling": { reference: [/^CHECK: tuning exit: 1$/, / tuning result interfaces\[1\]\.mac of eth0: C2:B0:57:49:47:F1$/], ours: [/^CHECK: tuning exit: 0$/, / tuning result interfaces\[1\]\.mac of eth0: c2:b0:57:49:47:f1$/] },
  "tuning-args": {},
} as const satisfies Record<string, Difference>;

export type DifferenceName = keyof typeof known;
export const differences: Readonly<Record<DifferenceName, Difference>> = known;
