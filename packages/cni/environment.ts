/**
 * How a runtime speaks to a plugin: one verb, a handful of CNI_… variables, and the network's configuration on stdin.
 *
 * Which variables a verb needs, what a container id or an interface name may look like, and in which order complaints come, is as in
 * Go's library, so that a runtime's tests see the same first error from either.
 */
import { CniError, ErrorCode } from "./errors.ts";

/** The environment of a process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What the runtime says beside the configuration. */
export interface Args {
  containerId: string;
  /** Path of the container's network namespace; "" when absent, as DEL allows. */
  netns: string;
  ifname: string;
  /** CNI_ARGS as it came: "K=V;K2=V2". */
  cniArgs: string;
  /** CNI_PATH: the folders to look for other plugins in, in order. */
  path: string[];
}

/** The variables of a request, checked. */
export interface Variables {
  command: string;
  args: Args;
  /** The runtime vouches that working in the plugin's own namespace is meant (test suites do). */
  netnsOverride: boolean;
}

const withContainer = ["ADD", "CHECK", "DEL"];

/** In the order in which they are checked: the variable, the verbs that need it, and the check of its value. */
const variables: readonly (readonly [name: string, neededBy: readonly string[], check?: (value: string) => CniError | undefined])[] = [
  ["CNI_CONTAINERID", withContainer, checkContainerId],
  ["CNI_NETNS", ["ADD", "CHECK"]],
  ["CNI_IFNAME", withContainer, checkInterfaceName],
  ["CNI_PATH", ["ADD", "CHECK", "DEL", "GC", "STATUS"]],
];

/**
 * Reads and checks the variables (specification, "Parameters"). A verb that there is not passes here: the configuration is checked
 * before it is refused. Throws CniError 4; a malformed value is reported before a missing one. Empty counts as missing.
 */
export function readVariables(env: Environment): Variables {
  const command = env["CNI_COMMAND"] ?? "";
  const missing = command === "" ? ["CNI_COMMAND"] : [];
  for (const [name, neededBy, check] of variables) {
    if (!neededBy.includes(command)) continue;
    const value = env[name] ?? "";
    if (value === "") missing.push(name);
    const problem = value === "" ? undefined : check?.(value);
    if (problem) throw problem;
  }
  if (missing.length > 0) {
    throw new CniError(ErrorCode.INVALID_ENVIRONMENT, `required env variables [${missing.join(",")}] missing`);
  }
  const args: Args = {
    containerId: env["CNI_CONTAINERID"] ?? "",
    netns: env["CNI_NETNS"] ?? "",
    ifname: env["CNI_IFNAME"] ?? "",
    cniArgs: env["CNI_ARGS"] ?? "",
    path: splitPath(env["CNI_PATH"] ?? ""),
  };
  return { command, args, netnsOverride: ["1", "true"].includes((env["CNI_NETNS_OVERRIDE"] ?? "").toLowerCase()) };
}

/** CNI_PATH as folders. "" is none; an empty element is the working directory. Windows separates with ";". */
export function splitPath(path: string): string[] {
  return path === "" ? [] : path.split(process.platform === "win32" ? ";" : ":");
}

function refuse(message: string, details?: string): CniError {
  return new CniError(ErrorCode.INVALID_ENVIRONMENT, message, details === undefined ? {} : { details });
}

/** A container's id: the runtime chose it, plugins build file names from it. Gives the error, code 3 or 4, or undefined. */
export function checkContainerId(id: string): CniError | undefined {
  if (id === "") return new CniError(ErrorCode.UNKNOWN_CONTAINER, "missing containerID");
  if (isName(id)) return undefined;
  return refuse("invalid characters in containerID", id);
}

/** A network's name, which plugins build file and chain names from. Gives the error, code 7, or undefined. */
export function checkNetworkName(name: string): CniError | undefined {
  if (name === "") return new CniError(ErrorCode.INVALID_CONFIG, "missing network name");
  if (isName(name)) return undefined;
  return new CniError(ErrorCode.INVALID_CONFIG, "invalid characters found in network name", { details: name });
}

/** An interface's name, by the kernel's rules (dev_valid_name): at most 15 bytes. Gives the error, code 4, or undefined. */
export function checkInterfaceName(name: string): CniError | undefined {
  if (name === "") return refuse("interface name is empty");
  if (new TextEncoder().encode(name).length > 15) return refuse("interface name is too long", "interface name should be less than 16 characters");
  if (name === "." || name === "..") return refuse("interface name is . or ..");
  // White space as Unicode has it: what \s knows, plus NEL, minus the byte order mark.
  if (/[/:\u0085]|[^\S\ufeff]/.test(name)) return refuse("interface name contains / or : or whitespace characters");
  return undefined;
}

function isName(text: string): boolean {
  return /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(text);
}
