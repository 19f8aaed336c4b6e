/**
 * Golden files: what is sent to the kernel, told by the tables that send it (wire.ts), and kept in packages/linux/testdata to be
 * read and reviewed. So a message is seen on every kernel, also on one that does not know what it asks for.
 *
 *     UPDATE=1 bun test packages/linux      writes them anew; the diff is what is to be looked at
 */
import { expect } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { NetlinkSocket } from "../netlink.ts";
import { NLM_F } from "../uapi/netlink.ts";
import { RTM } from "../uapi/rtnetlink.ts";
import { sentBy } from "./wire.ts";

const folder = join(import.meta.dir, "../testdata");

/** Each work's messages, under its title, against the file of that name. */
export function expectGolden(name: string, works: Readonly<Record<string, (rtnl: () => NetlinkSocket) => void>>): void {
  const sections = Object.entries(works).map(([title, work]) =>
    [`# ${title}`, ...sentBy(work).flatMap(({ type, flags, lines }) => [`${nameOf(type)} ${flagsOf(flags)}`.trim(), ...lines])].join("\n"));
  const text = `${sections.join("\n\n")}\n`;
  const path = join(folder, `${name}.txt`);
  if (process.env["UPDATE"] !== undefined) writeFileSync(path, text);
  expect(text).toBe(existsSync(path) ? readFileSync(path, "utf8") : "");
}

const nameOf = (number: number): string => `RTM_${Object.entries(RTM).find(([, value]) => value === number)?.[0] ?? "?"} (${number})`;

/** The bits mean one thing for a get, and others for a new. */
const flagsOf = (flags: number): string => flags === NLM_F.DUMP ? "DUMP"
  : (["CREATE", "EXCL", "REPLACE", "APPEND"] as const).filter((name) => (flags & NLM_F[name]) !== 0).join(" ");
