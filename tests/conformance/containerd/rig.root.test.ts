/** The rig itself: its image is one that tar reads, its schema is found, and a start that fails leaves nothing. */
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RigFailure } from "../node/failure.ts";
import { remains } from "../node/leftovers.ts";
import { missing, skipped } from "../node/needs.ts";
import { command } from "../node/node.ts";
import { startContainerd } from "./containerd.ts";
import { busybox, imageName, writeImage } from "./image.ts";
import { installed } from "./release.ts";
import { runtimeSchema } from "./schema.ts";

const noBusybox = missing({ files: { [busybox]: "busybox-static" } });

test.skipIf(noBusybox !== "")(skipped("the image is an archive whose layer tar unpacks, links and modes included", noBusybox), async () => {
  const dir = mkdtempSync(join(tmpdir(), "vethwork-image-"));
  try {
    writeImage(join(dir, "image.tar"));
    expect((await command(["tar", "-C", dir, "-xf", join(dir, "image.tar")])).code).toBe(0);
    expect(JSON.parse(readFileSync(join(dir, "manifest.json"), "utf8"))).toMatchObject([{ RepoTags: [imageName] }]);
    const layer = await command(["tar", "--numeric-owner", "-tvf", join(dir, "layer.tar")]);
    expect(layer.out).toContain(" bin/sh -> busybox\n");
    expect(layer.out).toMatch(/^drwxrwxrwt 0\/0 .* tmp\/$/m);
    expect(layer.out).toMatch(/^-rwxr-xr-x 0\/0 .* www\/cgi-bin\/peer$/m);
    await command(["tar", "-C", dir, "-xf", join(dir, "layer.tar"), "bin/busybox"]);
    expect(readFileSync(join(dir, "bin/busybox")).equals(readFileSync(busybox))).toBeTrue();
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("a binary without the interface's schema is refused in words", () => {
  const gzipOfSomethingElse = Buffer.from(Bun.gzipSync(Buffer.from("\x0a\x09api.proto\x12\x07other")));
  expect(() => runtimeSchema(gzipOfSomethingElse)).toThrow(RigFailure);
});

const release = installed();
const { lacks } = release;

test.skipIf(lacks !== "")(skipped("a containerd that cannot start is reported with its log, and leaves nothing", lacks), async () => {
  const start = startContainerd({ release, plugins: {}, conf: {}, settings: "[grpc" });
  const failure = await start.then(() => undefined, (error: unknown) => error);
  if (!(failure instanceof RigFailure)) throw new TypeError(`Cannot see the refusal: ${String(failure)}`);
  expect(failure.message).toMatch(/toml|grpc/i);
  const name = /on node "(.*?)"/.exec(failure.message)?.[1] ?? "";
  expect(name).toStartWith("vethwork-node.");
  expect(remains({ name, dir: join(tmpdir(), name) })).toEqual([]);
}, 60_000);
