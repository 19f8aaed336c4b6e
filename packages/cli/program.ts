/** A plugin as a program: serves the one request that the process was started for. */
import { runPlugin, type Plugin } from "@vethwork/cni";
import { io, isOwnNetns } from "./io.ts";
import { version } from "./version.ts";

export const serve = (plugin: Plugin): void => runPlugin(plugin, { version, io, isOwnNetns });
