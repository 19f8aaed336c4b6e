/** Every table, in the order of the plugins' names. */
import { bandwidth } from "./rows/bandwidth.ts";
import { bridge } from "./rows/bridge.ts";
import { chains } from "./rows/chains.ts";
import { dummy } from "./rows/dummy.ts";
import { firewall } from "./rows/firewall.ts";
import { flannel } from "./rows/flannel.ts";
import { hostDevice } from "./rows/host-device.ts";
import { hostLocal } from "./rows/host-local.ts";
import { ipvlan } from "./rows/ipvlan.ts";
import { loopback } from "./rows/loopback.ts";
import { macvlan } from "./rows/macvlan.ts";
import { portmap } from "./rows/portmap.ts";
import { ptp } from "./rows/ptp.ts";
import { sbr } from "./rows/sbr.ts";
import { staticTable } from "./rows/static.ts";
import { tap } from "./rows/tap.ts";
import { tuning } from "./rows/tuning.ts";
import { vlan } from "./rows/vlan.ts";
import { vrf } from "./rows/vrf.ts";
import type { Table } from "./table.ts";

/** Plugins that have no table, and why. */
export const withoutTable: Readonly<Record<string, string>> = {
  vethwork: "the reference has none of that name",
  sample: "it is there to be copied, and no package has the reference's",
  dhcp: "its daemon needs a server on the wire: tests of its own",
};

export const tables: readonly Table[] = [bandwidth, bridge, chains, dummy, firewall, flannel, hostDevice, hostLocal, ipvlan, loopback, macvlan, portmap, ptp, sbr, staticTable, tap, tuning, vlan, vrf];
