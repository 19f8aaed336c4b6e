/**
 * The command: `vethwork <verb>`. Each verb is a file in commands/ that says what it does, what it takes, and does it.
 */
import { ignore, isErrno } from "@vethwork/linux";
import type { Command } from "./usage.ts";
import { UsageError, printHelp } from "./usage.ts";
import { completionOf } from "./commands/completion.ts";
import { agent } from "./commands/agent.ts";
import { cni } from "./commands/cni.ts";
import { dhcp } from "./commands/dhcp.ts";
import { install } from "./commands/install.ts";
import { lab } from "./commands/lab.ts";
import { plugins } from "./commands/plugins.ts";
import { status } from "./commands/status.ts";
import { version } from "./version.ts";

const verbs: readonly Command[] = [agent, cni, dhcp, install, lab, plugins, status];
export const commands: readonly Command[] = [...verbs, completionOf(verbs)];

/** Runs one command line; gives the exit code: 0 done, 1 it failed, 2 it was not understood. */
export async function runCommand(args: readonly string[]): Promise<number> {
  process.stdout.on("error", (error) => {
    if (!isErrno(error, "EPIPE")) throw error;
    ignore(error, "nobody reads any more, as after `| head`; what is under way is still finished in order");
  });
  const [verb = "help", ...rest] = args;
  if (verb === "--version" || verb === "version") {
    process.stdout.write(`vethwork ${version}\n`);
    return 0;
  }
  if (verb === "help" || verb === "--help" || verb === "-h") {
    const about = commands.find(({ name }) => name === rest[0]);
    process.stdout.write(about ? about.help : printHelp(commands));
    return 0;
  }
  const command = commands.find(({ name }) => name === verb);
  if (!command) {
    process.stderr.write(`vethwork: there is no command "${verb}" (${commands.map(({ name }) => name).join(", ")})\n`);
    return 2;
  }
  if (rest.includes("--help") || rest.includes("-h")) {
    process.stdout.write(command.help);
    return 0;
  }
  try {
    return await command.run(rest);
  } catch (error) {
    process.stderr.write(`vethwork ${verb}: ${error instanceof Error ? error.message : String(error)}\n`);
    if (error instanceof Error && error.cause !== undefined) ignore(error.cause, "the message above tells it");
    if (error instanceof UsageError) process.stderr.write(`Try: vethwork ${verb} --help\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}
