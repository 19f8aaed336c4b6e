/** Which of others' chains get a rule of ours, and that it goes from each of them; by nft's own listing. */
import { expect } from "bun:test";
import { parseCidr, words, type Netns } from "@vethwork/linux";
import { kernelTest, outputIn } from "../../linux/testing/room.ts";
import { closeWay, openWay, wayFaults, type Accept } from "./way-through.ts";

const accepts: readonly Accept[] = [
  { family: 4, words: [words.ip.saddr.eq(parseCidr("10.1.0.0/16")), words.accept], comment: "ours: four" },
  { family: 6, words: [words.ip6.saddr.eq(parseCidr("fd00:1::/32")), words.accept], comment: "ours: six" },
  { words: [words.mark.has(0x1000), words.accept], comment: "ours: both" },
];
const open = (here: Netns): void => here.nft.transaction((change) => openWay(change, here.nft, accepts));
const close = (here: Netns): void => here.nft.transaction((change) => closeWay(change, here.nft, (comment) => comment.startsWith("ours: ")));
const ours = (here: Netns, ...chain: string[]): string[] => [...outputIn(here, "nft", "list", "chain", ...chain).matchAll(/comment "ours: (\w+)"/g)].map(([, which = ""]) => which);

const drops = "type filter hook forward priority 0; policy drop;";
const accepting = "type filter hook forward priority 0; policy accept;";

kernelTest("chains that drop or reject what is left get the rules of their families, at their heads and once", (here) => {
  outputIn(here, "nft", `
    table inet a { chain f { ${drops} ct state established accept; }; }
    table ip b { chain f { ${accepting} ip saddr 10.9.0.0/16 accept; counter log drop; }; }
    table ip6 c { chain f { ${accepting} reject; }; }`);
  for (let times = 0; times < 2; times++) open(here);
  expect([ours(here, "inet", "a", "f"), ours(here, "ip", "b", "f"), ours(here, "ip6", "c", "f")]).toEqual([["both", "six", "four"], ["both", "four"], ["both", "six"]]);
  expect(outputIn(here, "nft", "list", "chain", "inet", "a", "f")).toMatch(/ours: four"\s+ct state established accept/);
  expect(wayFaults(here.nft, accepts)).toEqual([]);
});

kernelTest("chains that let packets pass, others' hooks, and rules with a condition are left alone", (here) => {
  const chains = [
    `table inet a { chain f { ${accepting} ip saddr 10.1.0.5 drop; }; }`,
    `table inet b { chain f { ${accepting} counter drop; counter accept; }; }`,
    "table inet c { chain f { type filter hook input priority 0; policy drop; }; }",
    `table bridge d { chain f { ${drops} }; }`,
    "table inet e { chain f { counter drop; }; }",
    `table ip g { chain f { ${accepting} }; }`,
  ];
  outputIn(here, "nft", chains.join("\n"));
  open(here);
  expect(wayFaults(here.nft, accepts)).toEqual([]);
  expect(outputIn(here, "nft", "list", "ruleset")).not.toContain("ours: ");
});

kernelTest("the rules go also from a chain that has come to accept, and nobody else's do", (here) => {
  outputIn(here, "nft", `table inet a { chain f { ${drops} ct state established accept comment "theirs"; }; }`);
  open(here);
  outputIn(here, "nft", `add chain inet a f { ${accepting} }`);
  close(here);
  expect(outputIn(here, "nft", "list", "chain", "inet", "a", "f")).toMatch(/policy accept;\s+ct state established accept comment "theirs"\s+\}/);
});

kernelTest("a fault names the chain and what it drops", (here) => {
  outputIn(here, "nft", `table inet a { chain f { ${drops} }; }`);
  expect(wayFaults(here.nft, accepts.slice(0, 1))).toEqual(['chain "f" of table "a" drops what "ours: four" should accept']);
});
