/**
 * Every plugin in this binary, by its CNI type: the name that the binary is called by picks one.
 *
 * A plugin's file, and all that it imports, is evaluated when it is asked to do something, so that a pod waits for one
 * plugin and not for all of them, and VERSION for none. An import cannot wait like this without making plugins
 * asynchronous; a require can.
 */
import { allVersions, type Plugin } from "@vethwork/cni";

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
export function findPlugin(type: string): Plugin | undefined {
  const load = Object.hasOwn(files, type) ? files[type] : undefined;
  return load && lazily(type, load);
}

function lazily(type: string, load: () => PluginFile): Plugin {
  let file: PluginFile | undefined;
  const plugin = (): Plugin => (file ??= load()).default;
  return {
    type,
    versions: allVersions,
    get about() {
      return plugin().about;
    },
    get config() {
      return plugin().config;
    },
    add: (context) => plugin().add(context),
    del: (context) => plugin().del(context),
    check: (context) => plugin().check?.(context),
    gc: (context) => plugin().gc?.(context),
    status: (context) => plugin().status?.(context),
  };
}
