/**
 * The Container Runtime Interface's schema, out of the runtime's own binary.
 *
 * A Go program that serves gRPC holds the description of its messages (a FileDescriptorProto per .proto file, gzipped),
 * because the generated code registers it at start. Found, unpacked and wrapped it is a FileDescriptorSet, which is what
 * a gRPC client loads. So no .proto file is carried, and client and server cannot disagree. The interface's file imports
 * another, for options of the Go code generator; those say nothing about the messages and are left out.
 */
import { constants, gunzipSync } from "node:zlib";
import { RigFailure } from "../node/failure.ts";

// How Go's gzip writer begins: magic, deflate, no flags, no time.
const magic = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
// FileDescriptorProto: field 1 is the file's name, field 2 its package. containerd's other interfaces and the older
// version of this one (v1alpha2) are described in files of the same name.
const beginning = Buffer.from("\x0a\x09api.proto\x12\x0aruntime.v1\x1a", "latin1");
// The end of a gzip stream is in the stream; this is only more than it can be long (24 kB now).
const longest = 256 * 1024;

/**
 * The FileDescriptorSet of `runtime.v1` in a Go binary's bytes.
 * @throws RigFailure when the binary does not carry it in this form.
 */
export function runtimeSchema(binary: Buffer): Buffer {
  for (let i = binary.indexOf(magic); i >= 0; i = binary.indexOf(magic, i + magic.length)) {
    const file = gunzipped(binary.subarray(i, i + longest));
    // FileDescriptorSet: field 1, length-delimited, once per file.
    if (file?.subarray(0, beginning.length).equals(beginning) === true) {
      return Buffer.concat([Buffer.from([0x0a, ...varint(file.length)]), file]);
    }
  }
  throw new RigFailure("Cannot read the CRI schema: the binary holds no gzipped descriptor of runtime.v1");
}

/** What a gzip stream at the beginning of the bytes holds; undefined when it is none. */
function gunzipped(bytes: Buffer): Buffer | undefined {
  try {
    return gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH });
  } catch (error) {
    // Eight bytes may look like a beginning by chance.
    if (error instanceof Error && "code" in error && String(error.code).startsWith("Z_")) return undefined;
    throw error;
  }
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)];
}
