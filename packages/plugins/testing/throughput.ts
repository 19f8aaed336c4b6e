/**
 * How much gets through: real packets, as many as will go, from one namespace to another. Both ends are sockets of this one
 * process, which looks at the clock, so no two programs have to agree on when it begins and ends.
 *
 *     measure([{ kind: "tcp", from: pod, to: node, address }], { afterBytes: 1e6, forMs: 1000 })   →   [ 19_980_000 ]  bits a second
 *
 * Counted is what arrives, with the headers that it had on the wire, since that is what a limit counts. The first bytes are
 * not: they may come out of a bucket that was full.
 */
import { Netns, openSocket, type Ip, type IpSocket } from "@vethwork/linux";
import type { Stage } from "./stage.ts";

export interface Flow {
  kind: "tcp" | "udp";
  from: Netns;
  to: Netns;
  /** Of `to`. */
  address: Ip;
}

export interface Measure {
  /** So many bytes of each flow have to have arrived before it begins. */
  afterBytes: number;
  /** At least so long. */
  forMs: number;
  /** Goes on until the rates since the beginning are good enough, up to eight times as long: a busy machine makes pauses. */
  until?(rates: readonly number[]): boolean;
}

/** True where a rate is the wanted one, within 5 %. */
export const isClose = (rate: number | undefined, wanted: number): boolean => Math.abs((rate ?? 0) / wanted - 1) <= 0.05;

/** A namespace on a stage, of the node itself or one that has a name there, for this process to open sockets in. */
export const netnsOn = ({ node }: Stage, name?: string): Netns =>
  Netns.open(name === undefined ? `/proc/${node.pid}/ns/net` : `/proc/${node.pid}/root/run/netns/${name}`);

const MTU = 1500;
const ETHERNET = 14;
const TCP_CHUNK = 64 * 1024;
const UDP_BUFFER = 16 * 1024 * 1024;
const GIVE_UP_MS = 20_000;
/** What of a packet's length is headers: IP's, then TCP's with a time stamp, or UDP's. */
const headersOf = ({ kind, address: { family } }: Flow): number => (family === 4 ? 20 : 40) + (kind === "tcp" ? 32 : 8);

/** Bits a second of each flow, all at once. RangeError where one does not get going. */
export function measure(flows: readonly Flow[], { afterBytes, forMs, until = () => true }: Measure): number[] {
  using ends = new DisposableStack();
  const running = flows.map((flow) => open(flow, ends));
  run(running, { until: () => running.every(({ received }) => received >= afterBytes), forMs: GIVE_UP_MS });
  const slow = running.find(({ received }) => received < afterBytes);
  if (slow) throw new RangeError(`Cannot measure: ${slow.received} bytes came in ${GIVE_UP_MS} ms (${afterBytes} are wanted)`);
  const begun = performance.now();
  const before = running.map(({ received }) => received);
  for (let times = 1; ; times++) {
    run(running, { until: () => false, forMs });
    const seconds = (performance.now() - begun) / 1000;
    const rates = running.map(({ received, payload }, at) => ((received - (before[at] ?? 0)) * 8 * (MTU + ETHERNET)) / payload / seconds);
    if (times === 8 || until(rates)) return rates;
  }
}

interface Running {
  sender: IpSocket;
  receiver: IpSocket;
  /** As much as is sent, or received, at once. */
  chunk: Uint8Array;
  /** Bytes of it in a full packet. */
  payload: number;
  received: number;
}

function open(flow: Flow, ends: DisposableStack): Running {
  const { kind, from, to, address } = flow;
  const payload = MTU - headersOf(flow);
  // Datagrams that come while this process is kept waiting have been let pass, and count.
  const server = ends.use(openSocket(to, { kind, family: address.family, ...(kind === "udp" && { receiveBuffer: UDP_BUFFER }) }));
  server.bind(address);
  if (kind === "tcp") server.listen();
  const sender = ends.use(openSocket(from, { kind, family: address.family }));
  sender.connect(server.name());
  if (kind === "udp") return { sender, receiver: server, chunk: new Uint8Array(payload), payload, received: 0 };
  if (!sender.wait("out", GIVE_UP_MS) || !sender.established() || !server.wait("in", GIVE_UP_MS)) throw new RangeError(`Cannot measure: nobody answers at ${address}`);
  return { sender, receiver: ends.use(server.accept().socket), chunk: new Uint8Array(TCP_CHUNK), payload, received: 0 };
}

/** Sends and receives whatever goes, for so long, or until. */
function run(flows: readonly Running[], { until, forMs }: { until: () => boolean; forMs: number }): void {
  const end = performance.now() + forMs;
  while (!until() && performance.now() < end) {
    for (const flow of flows) {
      for (let room = 64; room > 0 && flow.sender.wait("out", 0); room--) flow.sender.send(flow.chunk);
      while (flow.receiver.wait("in", 0)) flow.received += flow.receiver.receive(flow.chunk.length).bytes.length;
    }
    flows[0]?.receiver.wait("in", 1);
  }
}
