/**
 * The one binary: a CNI plugin when a runtime calls it, a command when a person does.
 *
 * A runtime starts the file that is named like the configuration's `type` and sets CNI_COMMAND; each name is a link to
 * this program. Start-up is what every pod waits for, so the command's own libraries load only in its branch.
 */
import { runPlugin } from "@vethwork/cni";
import { findPlugin } from "@vethwork/plugins/registry.ts";
import { io, isOwnNetns } from "./io.ts";
import { version } from "./version.ts";

const name = process.argv0.slice(process.argv0.lastIndexOf("/") + 1);
const plugin = findPlugin(name);
const isCommand = name === "vethwork" && (process.argv.length > 2 || process.env["CNI_COMMAND"] === undefined);
const isDaemon = name === "dhcp" && process.argv[2] === "daemon"; // as the reference's is started

if (plugin && !isCommand && !isDaemon) {
  runPlugin(plugin, { version, io, isOwnNetns });
} else {
  Bun.unsafe.setJITPolicy(1); // the binary is built to compile nothing (scripts/build.ts): right for a plugin only
  void import("./command.ts").then(async ({ runCommand }) => {
    process.exitCode = await runCommand([...(isDaemon ? [name] : []), ...process.argv.slice(2)]);
  });
}
