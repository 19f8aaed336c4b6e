/** dhcp's options, each with its sentence, and what of them goes to the server. The plugin's own part of a network's configuration is `ipam`. */
import { CniError, ErrorCode, boolean, config, integer, list, object, path, required, string, type Args, type ConfigOf } from "@vethwork/cni";
import { DEFAULT_SOCKET } from "./talk.ts";
import { OPTION } from "./values.ts";

export const options = config({
  ipam: [object({
    daemonSocketPath: [path, DEFAULT_SOCKET, "The daemon's socket."],
    priority: [integer({ min: 0, max: 0xffff_ffff }), 0, "The metric of all routes; 0 leaves it to the kernel."],
    provide: [list(object({
      option: [string, required, "The option's number, or its name: dhcp-client-identifier, subnet-mask, routers, host-name, user-class, vendor-class-identifier."],
      value: [string, "", "What to tell the server, up to 255 bytes."],
      fromArg: [string, "", "The key in CNI_ARGS whose value to tell instead, if it is there: K8S_POD_NAME, say."],
    })), [], "Options to tell the server."],
    request: [list(object({
      option: [string, "", "The option's number, or its name as above."],
      skipDefault: [boolean, false, "Ask for nothing but what is listed. Otherwise netmask, routers, name servers, domain, search list and MTU are asked for, too."],
    })), [], "Options to ask the server for."],
  }), required, "This plugin's part of the network's configuration."],
});
export type Config = ConfigOf<typeof options>;

const NAMES: Readonly<Record<string, number>> = {
  "dhcp-client-identifier": OPTION.CLIENT[0], "subnet-mask": OPTION.SUBNET_MASK[0], routers: OPTION.ROUTER[0],
  "host-name": OPTION.HOST_NAME[0], "user-class": OPTION.USER_CLASS[0], "vendor-class-identifier": OPTION.VENDOR_CLASS[0],
};
/** Routers and netmask are what the reference asks for, in its order; the others make the result's name servers and MTU. */
const DEFAULT = [OPTION.ROUTER[0], OPTION.SUBNET_MASK[0], OPTION.DNS[0], OPTION.DOMAIN_NAME[0], OPTION.DOMAIN_SEARCH[0], OPTION.MTU[0]];
/** The longest value that one piece of an option holds. */
const LONGEST = 255;

/** What the server is told beside the conversation's own: who asks, and what the configuration provides. By code, as bytes. */
export function toldOptions({ name, ipam }: Config, args: Args): Map<number, Uint8Array> {
  const given = lenientArguments(args.cniArgs);
  const identity = `${args.containerId}/${name}/${args.ifname}`;
  const told = new Map<number, Uint8Array>([[OPTION.CLIENT[0], Uint8Array.of(0, ...bytesOf(identity).subarray(0, LONGEST - 1))]]);
  for (const { option, value, fromArg } of ipam.provide) {
    const code = codeOf(option);
    for (const text of [value, fromArg === "" ? "" : given.get(fromArg) ?? ""]) if (text !== "") told.set(code, valueFor(option, text));
  }
  return told;
}

/** Which options the server is asked for, by code. */
export function askedOptions({ ipam: { request } }: Config): number[] {
  const listed = request.filter(({ option, skipDefault }) => option !== "" || !skipDefault).map(({ option }) => codeOf(option));
  return [...new Set([...listed, ...(request.some(({ skipDefault }) => skipDefault) ? [] : DEFAULT)])];
}

function codeOf(option: string): number {
  const code = NAMES[option] ?? (/^\d{1,3}$/.test(option) ? Number(option) : 0);
  if (code > 0 && code < 255) return code;
  throw new CniError(ErrorCode.INVALID_CONFIG, `Can not parse option ${JSON.stringify(option)}: it is none (a number from 1 to 254, or one of ${Object.keys(NAMES).join(", ")} is wanted)`);
}

function valueFor(option: string, text: string): Uint8Array {
  const bytes = bytesOf(text);
  if (bytes.length <= LONGEST) return bytes;
  throw new CniError(ErrorCode.INVALID_CONFIG, `Cannot provide option ${JSON.stringify(option)}: its value has ${bytes.length} bytes (at most ${LONGEST} are wanted)`);
}

/** This plugin alone takes CNI_ARGS as they come: what is no pair is passed over, and no key is unknown. */
function lenientArguments(text: string): Map<string, string> {
  const pairs = text.split(";").filter((pair) => pair.includes("="));
  return new Map(pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]));
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
