/**
 * The one binary: a CNI plugin when a runtime calls it, a command when a person does.
 *
 * A runtime starts the file that is named like the configuration's `type` and sets CNI_COMMAND; each name is a link to
 * this program. Start-up is what every pod waits for, so nothing is imported here: the build puts each plugin together
 * with what it needs, and nothing else, and so it does with the command (scripts/build.ts).
 */

/** A plugin's program by its CNI type; importing it serves the request. */
export type Programs = Readonly<Record<string, () => Promise<unknown>>>;

export async function main(programs: Programs): Promise<void> {
  const name = process.argv0.slice(process.argv0.lastIndexOf("/") + 1);
  const program = Object.hasOwn(programs, name) ? programs[name] : undefined;
  const isCommand = name === "vethwork" && (process.argv.length > 2 || process.env["CNI_COMMAND"] === undefined);
  const isDaemon = name === "dhcp" && process.argv[2] === "daemon"; // as the reference's is started
  if (program && !isCommand && !isDaemon) return void (await program());
  // The binary is built to compile nothing (scripts/build.ts), which is right for plugins, for `cni`, which calls them, and for the
  // agent, which is always there and has little to do: compiled code is memory.
  if (process.argv[2] !== "agent" && process.argv[2] !== "cni") Bun.unsafe.setJITPolicy(1);
  const { runCommand } = await import("./command.ts");
  process.exitCode = await runCommand([...(isDaemon ? [name] : []), ...process.argv.slice(2)]);
}
