/** bridge's options, each with its sentence, and what can be told to be wrong before anything is touched. */
import { CniError, ErrorCode, boolean, config, integer, list, mac, object, string, type Args, type ConfigOf } from "@vethwork/cni";
import type { Mac } from "@vethwork/linux";
import { ethernetMac, macArgument } from "../shared/mac.ts";
import { masqueradeBackend } from "../shared/masquerade/masquerade.ts";
import { gatewayLinkName, trunkIds } from "./vlan.ts";

const macOfPod = object({ mac: [mac, undefined, "The MAC address of the pod's interface."] });

export const options = config({
  bridge: [string, "cni0", "Name of the bridge. Made when missing, shared by every pod that names it, never taken away."],
  isGateway: [boolean, false, "Give the bridge the gateway's address of each pod subnet, and let the node route for pods."],
  isDefaultGateway: [boolean, false, "Send everything that the pod has no better route for to that gateway. Implies isGateway."],
  forceAddress: [boolean, false, "Replace another address that the bridge has, instead of failing."],
  ipMasq: [boolean, false, "Give packets that leave the pod's subnet the node's address, since the world has no route back to the pod's."],
  ipMasqBackend: [masqueradeBackend, undefined, "How: by nftables, or by the program iptables. Unless given, by nftables."],
  mtu: [integer({ min: 0, max: 65535 }), 0, "Largest packet in bytes, of both ends of the cable, and of the bridge when it is made; 0 takes the kernel's default."],
  hairpinMode: [boolean, false, "Let a frame leave by the port it came in: a pod that reaches itself by a Service's address."],
  promiscMode: [boolean, false, "Have the bridge take frames for everybody: the other answer to the same question. Never both."],
  vlan: [integer, 0, "The pod's VLAN, 1 to 4094, of which the pod itself knows nothing; 0 is none."],
  vlanTrunk: [list(object({
    minID: [integer, undefined, "The first of a run of VLANs."],
    maxID: [integer, undefined, "The last of it."],
    id: [integer, undefined, "A single VLAN."],
  })), undefined, "VLANs that the pod sees with their tags. Without `vlan`, what has no tag is of VLAN 1."],
  preserveDefaultVlan: [boolean, false, "Leave the port in the bridge's default VLAN, too."],
  macspoofchk: [boolean, false, "Drop what the pod sends with another MAC address than its own."],
  enabledad: [boolean, false, "Look for other hosts with the pod's IPv6 addresses, which takes a second or two. IPAM keeps them unique."],
  disableContainerInterface: [boolean, false, "Leave the pod's interface switched off, and without addresses: somebody else takes it over."],
  portIsolation: [boolean, false, "Keep pods on this bridge from speaking to each other; to the gateway they do."],
  runtimeConfig: [macOfPod, {}, "What the runtime supplies for declared capabilities: `mac`."],
  args: [object({ cni: [macOfPod, {}, "Arguments by the conventions of CNI."] }), {}, "Arguments from the runtime."],
});
export type Config = ConfigOf<typeof options>;

/** A configuration with all that follows from it. */
export interface Plan extends Config {
  /** VLANs with tags, each once; undefined where there is no trunk. */
  trunk: number[] | undefined;
  /** Of the pod's end; undefined leaves it to the kernel. */
  mac: Mac | undefined;
}

/** Throws CniError 7, in the reference's words where it has some. */
export function planOf(given: Config, args: Args): Plan {
  const { vlan, vlanTrunk, hairpinMode, promiscMode, ipam } = given;
  if (vlan < 0 || vlan > 4094) throw invalid(`invalid VLAN ID ${vlan} (must be between 0 and 4094)`);
  const trunk = vlanTrunk && trunkIds(vlanTrunk);
  const asked = given.runtimeConfig.mac ?? given.args.cni.mac ?? macArgument(args);
  if (ipam && given.disableContainerInterface) throw invalid("cannot use IPAM when DisableContainerInterface flag is set");
  if (hairpinMode && promiscMode) throw invalid("cannot set hairpin mode and promiscuous mode at the same time");
  const isGateway = given.isGateway || given.isDefaultGateway;
  if (isGateway && vlan > 0 && gatewayLinkName(given).length > 15) {
    throw invalid(`"${gatewayLinkName(given)}" is too long for an interface's name (a bridge's name of ${15 - String(vlan).length - 1} characters is wanted)`);
  }
  return { ...given, isGateway, trunk, mac: asked === undefined ? undefined : ethernetMac(asked) };
}

const invalid = (message: string): CniError => new CniError(ErrorCode.INVALID_CONFIG, message);
