/** The agent's options: every one is explained, and the page about the agent quotes what the command says. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { agent } from "./agent.ts";

const page = join(import.meta.dir, "../../../docs/agent.md");

test("docs/agent.md quotes the help as it is (UPDATE=1 writes it)", async () => {
  const wanted = `<!-- help -->\n\`\`\`\n${agent.help}\`\`\`\n<!-- /help -->`;
  const text = await Bun.file(page).text();
  const fresh = text.replace(/<!-- help -->[^]*<!-- \/help -->/, () => wanted);
  if (process.env["UPDATE"]) await Bun.write(page, fresh);
  else expect(text).toBe(fresh);
});

test("every option that is taken is explained, and none else", async () => {
  const explained = [...agent.help.matchAll(/^ {2}--([a-z-]+)/gm)].map(([, name]) => name ?? "");
  for (const name of explained) await expect(agent.run([`--${name}`, "x", "--fly"])).rejects.toThrow("--fly");
  const source = await Bun.file(join(import.meta.dir, "agent.ts")).text();
  const taken = [...(/const OPTIONS = \{([^]*?)\n\}/.exec(source)?.[1] ?? "").matchAll(/^ {2}"?([a-z-]+)"?: \{/gm)].map(([, name]) => name ?? "");
  expect(explained.sort()).toEqual(taken.sort());
});
