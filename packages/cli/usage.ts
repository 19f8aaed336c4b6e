/** What every verb of the command is, and how its arguments are read and its mistakes told. */
import { parseArgs, type ParseArgsConfig } from "node:util";

export interface Command {
  name: string;
  /** One line for the list of commands. */
  about: string;
  /** The whole of `vethwork <name> --help`; its options are what the shell completes. */
  help: string;
  /** The words that may come next, for completion: `lab` has `up`, `down` and so on. */
  words?: readonly string[];
  run(args: readonly string[]): Promise<number>;
}

/** The command line was not understood: exit code 2. */
export class UsageError extends RangeError {
  override readonly name = "UsageError";
}

export function printHelp(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  const rows = commands.map(({ name, about }) => `  ${name.padEnd(width)}  ${about}`);
  return `vethwork: Kubernetes networking in TypeScript

Usage: vethwork <command> [arguments]

${rows.join("\n")}

  vethwork <command> --help tells more; vethwork --version tells the version.
`;
}

export type OptionsConfig = NonNullable<ParseArgsConfig["options"]>;

/** Reads options and words; UsageError names what it does not know. */
export function readArguments<const O extends OptionsConfig>(args: readonly string[], options: O) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message.split(". ")[0] : String(error), { cause: error });
  }
}
