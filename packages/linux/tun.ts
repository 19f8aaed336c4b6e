/**
 * Tap devices: cables whose other end is a program, a virtual machine say (tuntap.rst in the kernel's documentation).
 *
 *     pod                        program
 *     tap0 ── /dev/net/tun ───── reads frames, writes frames
 *
 * They are made by opening a file, for netlink refuses to. Where nobody makes it persist, the device goes with the file.
 */
import { unless } from "./errors.ts";
import { closeFile, deviceIoctl, ioctl, openFile, readFile, writeFile } from "./libc.ts";
import type { Netns } from "./netns.ts";
import { O } from "./uapi/fs.ts";
import { IFF_OF_TUN, TUN } from "./uapi/if_tun.ts";

const DEVICE = "/dev/net/tun";

export interface NewTap {
  name: string;
  /** The user and the group who may open it beside root. */
  owner?: number;
  group?: number;
  /** Several programs, or threads of one, may open it at once. */
  multiQueue?: boolean;
}

/** The program's end of a tap. */
export interface TapEnd extends Disposable {
  /** The next frame that was sent to it; undefined where there is none. */
  receive(): Uint8Array | undefined;
  send(frame: Uint8Array): void;
}

/** Makes a tap in the namespace. Fails with EBUSY where the name is taken. */
export function addTap(netns: Netns, { name, owner, group, multiQueue = false }: NewTap): void {
  const fd = attach(netns, name, IFF_OF_TUN.TUN_EXCL | queues(multiQueue));
  try {
    if (owner !== undefined) ioctl(fd, TUN.SETOWNER, owner);
    if (group !== undefined) ioctl(fd, TUN.SETGROUP, group);
    ioctl(fd, TUN.SETPERSIST, 1);
  } finally {
    closeFile(fd);
  }
}

/** Stands behind a tap that is there. */
export function openTap(netns: Netns, { name, multiQueue = false }: Pick<NewTap, "name" | "multiQueue">): TapEnd {
  const fd = attach(netns, name, queues(multiQueue));
  const frame = new Uint8Array(64 * 1024);
  return {
    receive: () => unless(["EAGAIN"], () => frame.slice(0, readFile(fd, frame))),
    send: (bytes) => void writeFile(fd, bytes),
    [Symbol.dispose]: () => closeFile(fd),
  };
}

const queues = (many: boolean): number => (many ? IFF_OF_TUN.MULTI_QUEUE : 0);

/** The file belongs to the namespace in which it is opened. */
function attach(netns: Netns, name: string, flags: number): number {
  const fd = netns.inside(() => openFile(DEVICE, O.RDWR | O.NONBLOCK));
  try {
    deviceIoctl(fd, TUN.SETIFF, { name, flags: IFF_OF_TUN.TAP | IFF_OF_TUN.NO_PI | flags });
    return fd;
  } catch (error) {
    closeFile(fd);
    throw error;
  }
}
