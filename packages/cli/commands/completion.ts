/** `vethwork completion bash|zsh|fish`: lets the shell complete verbs, their words and their options. */
import { UsageError, readArguments, type Command } from "../usage.ts";

const help = `Usage: vethwork completion bash|zsh|fish

Prints a script that completes vethwork's commands:
  bash   source <(vethwork completion bash)
  zsh    source <(vethwork completion zsh)
  fish   vethwork completion fish | source
`;

/** The command that completes all of `others`, and itself. */
export function completionOf(others: readonly Command[]): Command {
  const completion: Command = {
    name: "completion",
    about: "completion for bash, zsh and fish",
    help,
    words: Object.keys(scripts),
    run: (args) => {
      const { positionals } = readArguments(args, {});
      const script = scripts[positionals[0] ?? ""];
      const known = Object.keys(scripts).join(", ");
      if (!script) throw new UsageError(`"${positionals[0] ?? ""}" is no shell known here (one of ${known} is wanted)`);
      process.stdout.write(script([...others, completion].map(rowOf)));
      return Promise.resolve(0);
    },
  };
  return completion;
}

interface Row {
  name: string;
  about: string;
  /** What may follow the verb. */
  next: string[];
}

/** The options are read out of the help text, which names each. */
function rowOf({ name, about, help: text, words = [] }: Command): Row {
  const options = [...text.matchAll(/(?<![\w-])--[a-z][a-z-]+/g)].map(([option]) => option);
  return { name, about, next: [...words, ...new Set([...options, "--help"])] };
}

const scripts: Record<string, (rows: readonly Row[]) => string> = {
  bash: (rows) => `_vethwork() {
  local words
  case \${COMP_WORDS[1]} in
${rows.map(({ name, next }) => `    ${name}) words="${next.join(" ")}" ;;`).join("\n")}
    *) words="${[...rows.map(({ name }) => name), "help", "--version"].join(" ")}" ;;
  esac
  ((COMP_CWORD > 1)) || words="${[...rows.map(({ name }) => name), "help", "--version"].join(" ")}"
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}")
}
complete -o default -F _vethwork vethwork
`,
  zsh: (rows) => `#compdef vethwork
_vethwork() {
  if ((CURRENT == 2)); then
    _values command ${rows.map(({ name, about }) => `'${name}[${about.replaceAll("'", "")}]'`).join(" ")}
    return
  fi
  case $words[2] in
${rows.map(({ name, next }) => `    ${name}) compadd -- ${next.join(" ")} ;;`).join("\n")}
  esac
}
compdef _vethwork vethwork
`,
  fish: (rows) => rows.map(({ name, about, next }) => [
    `complete -c vethwork -n __fish_use_subcommand -a ${name} -d '${about.replaceAll("'", "")}'\n`,
    `complete -c vethwork -n '__fish_seen_subcommand_from ${name}' -a '${next.join(" ")}'\n`,
  ].join("")).join(""),
};
