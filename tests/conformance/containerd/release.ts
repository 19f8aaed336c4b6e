/**
 * Which containerd: the one that Debian has installed, which speaks CNI up to 1.0.0, and the newest that any suite of
 * Debian has, which speaks 1.1.0 and so asks STATUS. The second is unpacked below .cache/ and installed nowhere.
 */
import { newerPackage } from "../debian.ts";
import { missing } from "../node/needs.ts";

export interface Release {
  name: string;
  /** Where containerd, its shim and ctr are. */
  bin: string;
  /** The form of its configuration file. */
  config: 2 | 3;
  /** The newest CNI version that it speaks. */
  cniVersion: string;
  lacks: string;
}

/** Debian's own containerd. */
export function installed(): Release {
  const lacks = missing({ root: true, programs: ["containerd", "runc", "busybox", "unshare", "ip", "nft"] });
  return { name: "containerd", bin: "/usr/bin", config: 2, cniVersion: "0.3.1", lacks };
}

/** The newest containerd that Debian has, if it can be had and is of the second generation. */
export function newest(): Release {
  const { lacks } = installed();
  const folder = lacks === "" ? newerPackage("containerd") : undefined;
  return {
    name: "containerd 2",
    bin: `${folder?.path ?? ""}/usr/bin`,
    config: 3,
    cniVersion: "1.1.0",
    lacks: folder?.version.startsWith("2.") === true ? lacks : lacks || "containerd 2",
  };
}
