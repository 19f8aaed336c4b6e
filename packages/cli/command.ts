/**
 * The command: `vethwork <verb>`. Each verb is a file in commands/ that says what it does, what it takes, and does it.
 *
 * It is loaded when it is asked for, since `vethwork cni` is called for pods, too, and should not wait for the code of the agent.
 */
import { ignore, isErrno } from "@vethwork/linux/errors.ts";
import type { Command } from "./usage.ts";
import { UsageError, printHelp } from "./usage.ts";
import { version } from "./version.ts";

const files: Readonly<Record<string, () => Promise<Command>>> = {
  agent: async () => (await import("./commands/agent.ts")).agent,
  cni: async () => (await import("./commands/cni.ts")).cni,
  dhcp: async () => (await import("./commands/dhcp.ts")).dhcp,
  explain: async () => (await import("./commands/explain.ts")).explain,
  install: async () => (await import("./commands/install.ts")).install,
  lab: async () => (await import("./commands/lab.ts")).lab,
  plugins: async () => (await import("./commands/plugins.ts")).plugins,
  service: async () => (await import("./commands/service.ts")).service,
  status: async () => (await import("./commands/status.ts")).status,
  completion: async () => (await import("./commands/completion.ts")).completionOf(await loadVerbs(verbs)),
};
const names = Object.keys(files);
const verbs = names.filter((name) => name !== "completion");

const loadVerbs = async (some: readonly string[]): Promise<Command[]> => Promise.all(some.flatMap((name) => files[name]?.() ?? []));

/** All of them, for who tells about them. */
export const loadCommands = (): Promise<Command[]> => loadVerbs(names);

const findCommand = async (name: string): Promise<Command | undefined> => (Object.hasOwn(files, name) ? files[name]?.() : undefined);

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
    const about = await findCommand(rest[0] ?? "");
    process.stdout.write(about ? about.help : printHelp(await loadCommands()));
    return 0;
  }
  const command = await findCommand(verb);
  if (!command) {
    process.stderr.write(`vethwork: there is no command "${verb}" (${names.join(", ")})\n`);
    return 2;
  }
  const own = rest.slice(0, rest.includes("--") ? rest.indexOf("--") : rest.length); // what comes after is another program's
  if (own.includes("--help") || own.includes("-h")) {
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
