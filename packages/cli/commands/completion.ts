/** `vethwork completion bash|zsh|fish`: lets the shell complete the command's verbs. */
import { UsageError, readArguments, type Command } from "../usage.ts";

const VERBS = ["node", "lab", "cni", "plugins", "completion", "help", "version"] as const;

const help = `Usage: vethwork completion bash|zsh|fish

Prints a script that completes vethwork's commands:
  bash   source <(vethwork completion bash)
  zsh    source <(vethwork completion zsh)
  fish   vethwork completion fish | source
`;

export const completion: Command = {
  name: "completion",
  about: "completion for bash, zsh and fish",
  help,
  run: (args) => {
    const { positionals } = readArguments(args, {});
    const script = scripts[positionals[0] ?? ""];
    if (!script) throw new UsageError(`"${positionals[0] ?? ""}" is no shell known here (bash, zsh or fish is wanted)`);
    process.stdout.write(script);
    return Promise.resolve(0);
  },
};

const scripts: Record<string, string> = {
  bash: `complete -W "${VERBS.join(" ")}" vethwork\n`,
  zsh: `compdef '_values command ${VERBS.join(" ")}' vethwork\n`,
  fish: VERBS.map((verb) => `complete -c vethwork -n __fish_use_subcommand -a ${verb}\n`).join(""),
};
