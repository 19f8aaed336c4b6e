/** The room that tests run in: it tells what was left, and its life can be a pipe. */
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const hasRoot = process.getuid?.() === 0;
const room = join(import.meta.dir, "room.sh");

/** Runs a line of shell in a room with a pipe on its standard input, and gives the room once the line has said something. */
async function enter(line: string, folder: string) {
  const child = Bun.spawn([room, join(folder, "left"), "bash", "-c", line], { cwd: folder, stdin: "pipe", stdout: "pipe", stderr: "ignore" });
  await child.stdout.getReader().read();
  return child;
}

async function inFolder(play: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "vethwork-room-"));
  try {
    await play(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test.skipIf(!hasRoot)("the end of its standard input ends the command, and who clears up after it has the time to (needs root)", () =>
  inFolder(async (folder) => {
    const child = await enter(`exec 3> >(exec setsid sh -c "cat; echo cleared >cleared"); echo started; exec sleep 600`, folder);
    await child.stdin.end();
    expect(await child.exited).toBe(137);
    expect(readFileSync(join(folder, "cleared"), "utf8")).toBe("cleared\n");
    expect(readFileSync(join(folder, "left"), "utf8")).toBe("");
  }));

test.skipIf(!hasRoot)("what is left is told, and the exit code is the command's (needs root)", () =>
  inFolder(async (folder) => {
    const child = await enter("ip link add left0 type bridge; echo done; exit 3", folder);
    expect(await child.exited).toBe(3);
    expect(readFileSync(join(folder, "left"), "utf8")).toBe("link left0\n");
  }));
