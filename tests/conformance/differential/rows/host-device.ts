/** host-device: one end of a cable on the node is the device. */
import type { Table } from "../table.ts";
import { dual, fixed4, one4, outDual } from "./addresses.ts";

const before = "ip link add dev0 address 02:00:00:00:02:05 type veth peer name far0; ip link set far0 up; ip link set dev0 up";
const device = { device: "dev0" } as const;

export const hostDevice: Table = {
  type: "host-device",
  differences: ["no-dad", "by-attachment", "lock-mode"],
  rows: {
    "0.2.0": { version: "0.2.0", config: { ...device, ipam: one4 }, before, play: "ADD; DEL" },
    "0.3.1": { version: "0.3.1", config: { ...device, ipam: outDual }, before, play: "ADD; DEL" },
    "1.1.0": { version: "1.1.0", config: { ...device, ipam: outDual }, before },
    "STATUS": { version: "1.1.0", config: { ...device, ipam: one4 }, before, play: "STATUS" },
    "device": { config: device, before },
    "device with IPv4": { config: { ...device, ipam: one4 }, before },
    "device with both families": { config: { ...device, ipam: dual }, before },
    "device that is down": { config: device, before: `${before}; ip link set dev0 down` },
    "device with another alias": { config: device, before: `${before}; ip link set dev0 alias something` },
    "hwaddr": { config: { hwaddr: "02:00:00:00:02:05" }, before },
    "hwaddr in capitals and with dashes": { config: { hwaddr: "02-00-00-00-02-05".toUpperCase() }, before },
    "hwaddr of nobody": { config: { hwaddr: "02:00:00:00:02:99" }, before, refused: 7 },
    "hwaddr that is none": { config: { hwaddr: "02:00" }, before, refused: 7 },
    "kernelpath": { config: { kernelpath: "/sys/devices/virtual" }, before },
    "kernelpath elsewhere": { config: { kernelpath: "/etc" }, before, refused: 7 },
    "kernelpath of nobody": { config: { kernelpath: "/sys/devices/nobody" }, before, refused: 7 },
    "device before hwaddr": { config: { ...device, hwaddr: "02:00:00:00:00:01" }, before },
    "pciBusID of nobody": { config: { pciBusID: "0000:ff:1f.7" }, before, refused: 7 },
    "deviceID of nobody": { config: { capabilities: { deviceID: true } }, runtime: { deviceID: "0000:ff:1f.7" }, before, refused: 7 },
    "nothing named": { config: {}, before, refused: 7 },
    "a device that there is not": { config: { device: "nobody" }, before, refused: 7 },
    "dns": { config: { ...device, ipam: one4, dns: { nameservers: ["192.0.2.53"] } }, before },
    "dns of IPAM": { config: { ...device, ipam: { ...fixed4, dns: { nameservers: ["192.0.2.53"] } } }, before, differences: ["dns-of-ipam"] },
    "another interface": { ifname: "net1", config: device, before },
    "an interface that is there": { config: device, before: `${before}; ip -n pod1 link add eth0 type veth peer name eth1`, refused: 4 },
    "an IPAM plugin that there is not": { config: { ...device, ipam: { type: "nobody" } }, before, refused: 4, differences: ["device-back"] },
    "DEL of what was never added": { config: device, before, play: "DEL", refusedBy: { who: "reference", difference: "device-gone" } },
    "DEL twice": { config: { ...device, ipam: one4 }, before, play: "ADD; DEL; DEL", differences: ["device-gone"] },
    "DEL without a namespace": { config: { ...device, ipam: one4 }, before, play: "ADD; NETNS= DEL", differences: ["device-gone"] },
    "DEL when the namespace is gone": { config: { ...device, ipam: one4 }, before, play: "ADD; gone; DEL", differences: ["device-gone"] },
    "CHECK without prevResult": { config: device, before, play: "ADD; PREV= CHECK; DEL" },
    "CHECK when the address is gone": { config: { ...device, ipam: one4 }, before, play: "ADD; ip -n pod1 addr flush dev eth0; CHECK; DEL" },
  },
};
