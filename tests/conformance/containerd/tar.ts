/**
 * The tar format as far as a container image needs it: a sequence of 512-byte headers (POSIX ustar), each followed by
 * its file's bytes, padded to 512, and two empty blocks at the end. Owners are root and times are zero, so that the same
 * files always give the same bytes and an image keeps its digest.
 */

export type Entry =
  | { kind: "file"; path: string; bytes: Uint8Array; mode?: number }
  | { kind: "folder"; path: string; mode?: number }
  | { kind: "link"; path: string; target: string };

const block = 512;
const typeflag = { file: "0", link: "2", folder: "5" } as const;

/** Packs entries in the order given: a folder has to stand before what is in it. */
export function tar(entries: readonly Entry[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const entry of entries) {
    parts.push(header(entry));
    if (entry.kind === "file") parts.push(entry.bytes, new Uint8Array(-entry.bytes.length & (block - 1)));
  }
  return Buffer.concat([...parts, new Uint8Array(2 * block)]);
}

function header(entry: Entry): Buffer {
  const head = Buffer.alloc(block);
  // A number is octal digits, filled up with zeros, and a NUL.
  const number = (value: number, at: number, length: number) =>
    head.write(value.toString(8).padStart(length - 1, "0"), at, "latin1");
  if (Buffer.byteLength(entry.path) > 100) throw new RangeError(`Cannot pack "${entry.path}": over 100 bytes`);
  head.write(entry.path, 0, "utf8");
  number(entry.kind === "link" ? 0o777 : (entry.mode ?? 0o755), 100, 8);
  number(0, 108, 8); // owner
  number(0, 116, 8); // group
  number(entry.kind === "file" ? entry.bytes.length : 0, 124, 12);
  number(0, 136, 12); // time
  head.write(typeflag[entry.kind], 156, "latin1");
  if (entry.kind === "link") head.write(entry.target, 157, "utf8");
  head.write("ustar\u000000", 257, "latin1");
  // The checksum is the sum of the header's bytes with the checksum's own field counted as eight spaces.
  head.fill(" ", 148, 156);
  const sum = head.reduce((total, byte) => total + byte, 0);
  number(sum, 148, 7);
  head[155] = 0x20;
  return head;
}
