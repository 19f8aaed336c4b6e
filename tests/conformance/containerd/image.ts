/**
 * The image that the tests' pods run: one static busybox, packed where the test runs, so that no registry is asked.
 *
 * It is a docker-archive, the oldest form that everybody imports: a tar of manifest.json, the image's configuration, and
 * one tar per layer, named by its digest. The same image serves as the sandbox image (the "pause" container that holds a
 * pod's namespaces): its command sleeps.
 */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { tar, type Entry } from "./tar.ts";

/** The name that `docker-archive` tags; no such host exists. */
export const imageName = "conformance.invalid/busybox:1";

/** Static, so that it runs in an image that holds nothing else (Debian: busybox-static). */
export const busybox = "/bin/busybox";

const applets = ["sh", "sleep", "ping", "ping6", "ip", "cat", "echo", "hostname", "httpd", "wget", "ls", "mkdir", "true"];

/** What a pod's web server answers at /cgi-bin/peer: the source address of who asks, as it arrived here. */
export const peerScript = "#!/bin/sh\necho Content-Type: text/plain\necho\necho $REMOTE_ADDR\n";

/** Writes the image as a docker-archive, about 2 MB. */
export function writeImage(path: string): void {
  const layer = tar([
    ...["bin", "etc", "proc", "sys", "dev", "root", "run", "www", "www/cgi-bin"].map(
      (name): Entry => ({ kind: "folder", path: `${name}/` }),
    ),
    { kind: "folder", path: "tmp/", mode: 0o1777 },
    { kind: "file", path: "bin/busybox", bytes: readFileSync(busybox) },
    ...applets.map((name): Entry => ({ kind: "link", path: `bin/${name}`, target: "busybox" })),
    { kind: "file", path: "etc/passwd", bytes: text("root:x:0:0:root:/root:/bin/sh\n"), mode: 0o644 },
    { kind: "file", path: "etc/group", bytes: text("root:x:0:\n"), mode: 0o644 },
    { kind: "file", path: "www/cgi-bin/peer", bytes: text(peerScript) },
  ]);
  const config = JSON.stringify({
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    os: "linux",
    config: { Cmd: ["/bin/sleep", "2147483647"], Env: ["PATH=/bin"] },
    rootfs: { type: "layers", diff_ids: [`sha256:${createHash("sha256").update(layer).digest("hex")}`] },
  });
  const manifest = JSON.stringify([{ Config: "config.json", RepoTags: [imageName], Layers: ["layer.tar"] }]);
  const archive = tar([
    { kind: "file", path: "manifest.json", bytes: text(manifest), mode: 0o644 },
    { kind: "file", path: "config.json", bytes: text(config), mode: 0o644 },
    { kind: "file", path: "layer.tar", bytes: layer, mode: 0o644 },
  ]);
  writeFileSync(path, archive);
}

function text(content: string): Buffer {
  return Buffer.from(content);
}
