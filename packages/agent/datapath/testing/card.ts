/**
 * A network card that leaves out what it was asked to do: it puts each frame on the wire as it lies in memory, and does not fill in
 * the checksum that the kernel left to it.
 *
 *     node-1 eth0 ═ end ──▶ bytes, as they are ──▶ end ═ node-2 eth0
 *
 * Both ends are read and written as whole frames (packet(7)). The receiving kernel no longer knows that the sum is missing, as
 * it would over a veth: for it the frame came from a wire, and it adds up.
 */
import { unless, type Netns } from "@vethwork/linux";
import { bind, closeFile, recv, sendTo, socket } from "@vethwork/linux/libc.ts";
import { AF, SOCK } from "@vethwork/linux/uapi/socket.ts";
import { be16, encode, pad, s32, struct, u16 } from "@vethwork/linux/wire/codec.ts";

const sockaddr_ll = struct({ sll_family: u16, sll_protocol: be16, sll_ifindex: s32, _rest: pad(12) });
const ETH_P_ALL = 3;

export interface Card extends AsyncDisposable {
  /** How many frames it has carried. */
  frames(): number;
}

interface End {
  fd: number;
  address: Uint8Array;
}

/** Carries frames between two links of a namespace, while others do something else, until it is disposed of. */
export function connectByCard(wire: Netns, [one, other]: readonly [string, string]): Card {
  const [left, right] = [endOf(wire, one), endOf(wire, other)];
  const off = new AbortController();
  let frames = 0;
  const carrying = (async () => {
    while (!off.signal.aborted) {
      frames += carry(left, right) + carry(right, left);
      await Bun.sleep(1);
    }
  })();
  return {
    frames: () => frames,
    [Symbol.asyncDispose]: async () => {
      off.abort();
      await carrying;
      for (const { fd } of [left, right]) closeFile(fd);
    },
  };
}

function endOf(wire: Netns, name: string): End {
  const address = encode(sockaddr_ll, { sll_family: AF.PACKET, sll_protocol: ETH_P_ALL, sll_ifindex: wire.links.get(name).index }).slice();
  const fd = wire.inside(() => socket(AF.PACKET, SOCK.RAW | SOCK.NONBLOCK, 0));
  bind(fd, address);
  return { fd, address };
}

/** Gives the number of frames that had come. */
function carry(from: End, to: End): number {
  const frame = new Uint8Array(70_000);
  for (let count = 0; ; count++) {
    const length = unless(["EAGAIN"], () => recv(from.fd, frame));
    if (length === undefined) return count;
    sendTo(to.fd, frame.subarray(0, length), to.address);
  }
}
