/**
 * Features: what a network device does by itself, or leaves to the kernel (ethtool -k, ethtool -K).
 *
 *     tx-checksum-ip-generic   on: a packet is handed to the device with its checksum to be filled in; off: the kernel does it
 *
 * Names are those that ethtool(8) prints on the left.
 */
import { genericFamily } from "./genetlink.ts";
import type { Link } from "./links.ts";
import type { NetlinkSocket } from "./netlink.ts";
import type { Netns } from "./netns.ts";
import { ETHTOOL_MSG, features as featuresMessage } from "./uapi/ethtool_netlink.ts";
import { NETLINK } from "./uapi/netlink.ts";

type On = Pick<Link, "index" | "name">;

export interface Features {
  /** The names of those that are on. */
  list(link: On): string[];
  /** Switches one on or off. Fails with EOPNOTSUPP where the kernel does not know it; where the device has it fixed, nothing happens. */
  set(link: On, name: string, on: boolean): void;
}

/** Of the devices in the namespace. */
export const featuresIn = (netns: Pick<Netns, "netlink">): Features => createFeatures(() => netns.netlink(NETLINK.GENERIC));

/** @param socket a socket of NETLINK.GENERIC in the devices' namespace, opened when first used */
export function createFeatures(socket: () => NetlinkSocket): Features {
  const ethtool = genericFamily(socket, "ethtool");
  return {
    list: ({ index, name }) => {
      const value = { cmd: ETHTOOL_MSG.FEATURES_GET, version: 1, attrs: { HEADER: { DEV_INDEX: index } } };
      const { ACTIVE } = ethtool.get({ what: `list the features of "${name}"`, codec: featuresMessage, value }, (body) => featuresMessage.decode(body).attrs);
      return (ACTIVE?.BITS ?? []).map(({ NAME }) => NAME).filter((one) => one !== undefined);
    },
    set: ({ index, name: device }, name, on) => {
      const bit = { NAME: name, ...(on && { VALUE: true as const }) };
      const value = { cmd: ETHTOOL_MSG.FEATURES_SET, version: 1, attrs: { HEADER: { DEV_INDEX: index }, WANTED: { BITS: [bit] } } };
      ethtool.request({ what: `switch ${name} of "${device}" ${on ? "on" : "off"}`, codec: featuresMessage, value });
    },
  };
}
