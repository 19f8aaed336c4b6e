/**
 * Two pods that talk while something happens to the nodes below them: a hundred pings a second, and one TCP stream in pieces.
 * Whether a packet was lost is then a count.
 */
import { expect } from "bun:test";
import { openSocket, Netns, type Ip } from "@vethwork/linux";
import { command, succeeded } from "../../../tests/conformance/node/node.ts";

export interface Ends {
  /** Paths of the namespaces of who asks and of who answers. */
  from: string;
  to: string;
  /** The address of who answers. */
  ip: Ip;
}

export interface Talk {
  /** Pings, and their answers. */
  sent: number;
  received: number;
  /** Of the stream. */
  bytes: number;
  arrived: number;
}

/** Pings and a stream from the beginning of `act` to its end, and at least for a second. */
export async function talkDuring(ends: Ends, act: () => Promise<void>): Promise<Talk> {
  using stream = openStream(ends);
  const over = new AbortController();
  const pinging = (async () => {
    const counts = { sent: 0, received: 0 };
    do {
      const { sent, received } = await pingHundredTimes(ends);
      counts.sent += sent;
      counts.received += received;
    } while (!over.signal.aborted);
    return counts;
  })();
  const streaming = (async () => {
    while (!over.signal.aborted) {
      stream.pass();
      await command(["true"]); // a piece now and then, all the time
    }
  })();
  try {
    await act();
  } finally {
    over.abort();
    await Promise.allSettled([pinging, streaming]);
  }
  await streaming;
  return { ...(await pinging), ...stream.counts };
}

/** One each hundredth of a second. */
async function pingHundredTimes({ from, ip }: Ends): Promise<{ sent: number; received: number }> {
  const argv = ["nsenter", `--net=${from}`, "--", "ping", "-q", "-n", "-i", "0.01", "-c", "100", String(ip)];
  const { code, out, err } = await command(argv);
  if (code > 1) succeeded(argv, { code, out, err }); // 1: some were not answered, which is what is counted
  const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(out) ?? [];
  return { sent: Number(sent), received: Number(received) };
}

const PIECE = new Uint8Array(1000).fill(7);

/** A connection between two namespaces. */
function openStream({ from, to, ip }: Ends): Disposable & { pass(): void; counts: { bytes: number; arrived: number } } {
  using all = new DisposableStack();
  const server = all.use(openSocket(all.use(Netns.open(to)), { kind: "tcp", family: ip.family }));
  server.bind(ip);
  server.listen();
  const client = all.use(openSocket(all.use(Netns.open(from)), { kind: "tcp", family: ip.family }));
  client.connect(server.name());
  expect(client.wait("out", 5_000) && client.established() && server.wait("in", 5_000)).toBe(true);
  const { socket } = server.accept();
  all.use(socket);
  const counts = { bytes: 0, arrived: 0 };
  const pass = (): void => {
    client.send(PIECE);
    counts.bytes += PIECE.length;
    while (counts.arrived < counts.bytes && socket.wait("in", 5_000)) counts.arrived += socket.receive(PIECE.length).bytes.length;
  };
  const life = all.move();
  return { pass, counts, [Symbol.dispose]: () => life.dispose() };
}

/** What was counted, in words. */
export const told = ({ sent, received, bytes, arrived }: Talk): string => `${sent} pings sent, ${received} answered, ${sent - received} lost; ${bytes} bytes sent, ${arrived} arrived`;
