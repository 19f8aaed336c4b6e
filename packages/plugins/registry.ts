/**
 * Every plugin in this binary, by its CNI type: the name that the binary is called by picks one.
 *
 * The build makes a program and a link of each (scripts/build.ts). A plugin's file is evaluated here when it is asked for:
 * a command needs one of them, or none.
 */
import type { Plugin } from "@vethwork/cni";

interface PluginFile {
  default: Plugin;
}

const files: Readonly<Record<string, () => PluginFile>> = {
  bandwidth: () => require("./bandwidth/bandwidth.ts"),
  bridge: () => require("./bridge/bridge.ts"),
  dhcp: () => require("./dhcp/dhcp.ts"),
  dummy: () => require("./dummy/dummy.ts"),
  flannel: () => require("./flannel/flannel.ts"),
  firewall: () => require("./firewall/firewall.ts"),
  "host-device": () => require("./host-device/host-device.ts"),
  "host-local": () => require("./host-local/host-local.ts"),
  ipvlan: () => require("./ipvlan/ipvlan.ts"),
  loopback: () => require("./loopback/loopback.ts"),
  macvlan: () => require("./macvlan/macvlan.ts"),
  portmap: () => require("./portmap/portmap.ts"),
  ptp: () => require("./ptp/ptp.ts"),
  sample: () => require("./sample/sample.ts"),
  sbr: () => require("./sbr/sbr.ts"),
  static: () => require("./static/static.ts"),
  tap: () => require("./tap/tap.ts"),
  tuning: () => require("./tuning/tuning.ts"),
  vethwork: () => require("./vethwork/vethwork.ts"),
  vlan: () => require("./vlan/vlan.ts"),
  vrf: () => require("./vrf/vrf.ts"),
};

export const types: readonly string[] = Object.keys(files);

/** The plugin of that type; undefined where this binary has none. */
export const findPlugin = (type: string): Plugin | undefined => (Object.hasOwn(files, type) ? files[type]?.().default : undefined);
