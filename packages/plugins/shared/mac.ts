/** The MAC address that somebody asks for a pod: by an option, by the runtime's capability, or in CNI_ARGS. */
import { invalidOption, mac, type Args } from "@vethwork/cni";
import { parseMac, type Mac } from "@vethwork/linux";
import { argumentsOf } from "./arguments.ts";

/** The option's reader knows longer ones, too, of InfiniBand and FireWire. */
export function ethernetMac(text: string): Mac {
  try {
    return parseMac(text);
  } catch (error) {
    if (error instanceof RangeError) throw invalidOption("mac", text, "a MAC address of six bytes");
    throw error;
  }
}

/** The option gives way to CNI_ARGS, and that to the runtime's capability. */
export function wantedMac({ mac: own, runtimeConfig }: { mac?: string | undefined; runtimeConfig: { mac?: string | undefined } }, args: Args): Mac | undefined {
  const asked = runtimeConfig.mac ?? macArgument(args) ?? own;
  return asked === undefined ? undefined : ethernetMac(asked);
}

/** The value of MAC in CNI_ARGS. */
export function macArgument(args: Args): string | undefined {
  const { MAC = "" } = argumentsOf(args, ["MAC"]);
  return MAC === "" ? undefined : mac.parse(MAC, "MAC");
}
