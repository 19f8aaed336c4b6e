/** A program behind a socket that is a file, for who asks it and blocks meanwhile: so it is a process of its own. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Runs it while `act` is at work. `reply` is code that is run for each piece `d` that comes by connection `c`. */
export async function answering(reply: string, act: (path: string) => void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "unix-"));
  const path = join(folder, "socket");
  const source = `require("node:net").createServer((c) => c.on("data", (d) => { ${reply} })).listen(${JSON.stringify(path)}, () => console.log("ready"))`;
  const server = Bun.spawn([process.execPath, "-e", source], { stdout: "pipe" });
  try {
    await server.stdout.getReader().read();
    act(path);
  } finally {
    server.kill();
    await server.exited;
    rmSync(folder, { recursive: true });
  }
}
