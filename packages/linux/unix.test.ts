/** A connection by a file: what is sent arrives, silence and an end are told apart, and nobody there is an error. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectUnix, isErrno } from "./index.ts";
import { answering } from "./testing/answering.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (some: Uint8Array | undefined): string | undefined => some && new TextDecoder().decode(some);

test("a question is answered, and then comes the end", async () => {
  await answering("c.end('you said ' + d)", (path) => {
    using stream = connectUnix(path, 1000);
    stream.send(bytes("hello"));
    expect(text(stream.receive(5000))).toBe("you said hello");
    expect(text(stream.receive(5000))).toBe("");
  });
});

test("who says nothing is not waited for for ever", async () => {
  await answering("0", (path) => {
    using stream = connectUnix(path, 1000);
    stream.send(bytes("hello"));
    for (const ms of [20, 0.4, -3, 1.9996]) expect(stream.receive(ms)).toBeUndefined();
  });
});

test("no file, nobody behind it, and a path that no socket can have are errors", async () => {
  const folder = mkdtempSync(join(tmpdir(), "unix-"));
  const path = join(folder, "socket");
  const errno = (name: string) => (error: unknown) => isErrno(error, name);
  expect(caught(() => connectUnix(path, 100))).toSatisfy(errno("ENOENT"));
  const server: Server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  await new Promise((resolve) => server.close(resolve));
  await Bun.write(path, "");
  expect(caught(() => connectUnix(path, 100))).toSatisfy(errno("ECONNREFUSED"));
  expect(() => connectUnix(`/${"x".repeat(200)}`, 100)).toThrow(RangeError);
  rmSync(folder, { recursive: true });
});

function caught(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}
