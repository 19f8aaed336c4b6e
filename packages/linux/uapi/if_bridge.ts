/** VLANs of bridge ports: include/uapi/linux/if_bridge.h, in its spelling. A link message of AF_BRIDGE carries them. */
import { attrs, list, message } from "../wire/attrs.ts";
import { cstring, struct, u16, u32 } from "../wire/codec.ts";
import { ifinfomsg } from "./if_link.ts";

export const headers = ["linux/if_bridge.h", "linux/if_link.h", "linux/rtnetlink.h"] as const;

export const bridge_vlan_info = struct({
  flags: u16, // BRIDGE_VLAN_INFO
  vid:   u16,
});

export const BRIDGE_VLAN_INFO = {
  MASTER: 1,      // of the bridge, not of the port
  PVID: 2,        // what comes in without a tag belongs to this VLAN
  UNTAGGED: 4,    // what goes out of this VLAN goes without its tag
  RANGE_BEGIN: 8,
  RANGE_END: 16,
} as const;

export const IFLA_BRIDGE = { FLAGS: 0, MODE: 1, VLAN_INFO: 2 } as const;
/** What a dump of links is to tell beside the usual. */
export const RTEXT_FILTER = { VF: 1, BRVLAN: 2, BRVLAN_COMPRESSED: 4 } as const;

/** A port with its VLANs. The same attribute's place in an ordinary link message holds options by address family. */
export const portVlans = message(ifinfomsg, attrs("IFLA", {
  IFNAME:   [3, cstring],
  AF_SPEC:  [26, list(IFLA_BRIDGE.VLAN_INFO, bridge_vlan_info)],
  EXT_MASK: [29, u32], // RTEXT_FILTER
}));
