/**
 * A test of the network card: whether it fills in checksums of packets that are inside others.
 *
 *     this node                                    another node's end, 10.244.2.0
 *     datagram, its checksum left to the card ──▶  right: nobody listens on that port, says its kernel (ICMP, RFC 792)
 *                                                  wrong: not a word; the packet is dropped as damaged
 *
 * Cards and their drivers have got this wrong again and again. Then small things work and pods' connections hang: what the
 * kernel adds up by itself (a ping) arrives, and nothing else does. The other node needs no program for the test, only its
 * device; its answer's checksum is its kernel's own work, so it is our card alone that is tested. Where nobody answers it is
 * tried once more without the card's help: an answer then is the proof, and the help stays off.
 */
import { featuresIn, isErrno, openSocket, unless, type Ip, type Link, type Netns } from "@vethwork/linux";
import type { Log } from "./log.ts";
import type { Tunnel } from "./plan.ts";

/** The feature of a VXLAN device by which the card is asked to add up, in either family. */
const FEATURE = "tx-checksum-ip-generic";
/** UDP. Nobody listens there, on any node; ./ends.ts has its neighbours. */
const CLOSED_PORT = 8477;
const ASKED = 3;
const TRIES = 3; // a node answers six of these at once and then one a second (icmp_ratelimit)
const ANSWER_MS = 300;
const PAUSE_MS = 5;

/** untested: nobody has answered yet. off: the card's help is not asked for. */
export type Offload = "untested" | "works" | "off";

export interface Offloads {
  /** Keeps off what was found to be broken, also of a device that was made anew; gives how each device is. */
  keep(tunnels: readonly Tunnel[], log: Log): { link: string; state: Offload }[];
  /** Tests those devices of the last keep() that are untested. */
  test(): Promise<{ link: string; state: Offload }[]>;
}

export function createOffloads(host: Netns): Offloads {
  let states = new Map<string, { state: Offload; ends: Ip[] }>();
  const told = () => [...states].map(([link, { state }]) => ({ link, state }));
  return {
    keep: (tunnels, log) => {
      states = new Map(tunnels.flatMap(({ name, ends }) => {
        const state = log.attempt(() => kept(host, name, { before: states.get(name)?.state, log }));
        return state ? [[name, { state, ends: ends.flatMap(({ inside }) => inside) }]] : [];
      }));
      for (const [name, { state }] of states) if (state === "off") log.problems.push(`checksums of what is wrapped arrive wrong from this node's card, so the kernel fills them in (${FEATURE} of ${name} is off): slower, and whole`);
      return told();
    },
    test: async () => {
      for (const [name, { state, ends }] of states) {
        const link = host.links.find(name);
        const found = link && state === "untested" ? await testOffload(host, link, someOf(ends)) : state;
        const now = states.get(name); // a pass may have been meanwhile
        if (now) now.state = found;
      }
      return told();
    },
  };
}

/** What is off when the agent comes was found to be broken before, or somebody knows that it is: it stays off. */
function kept(host: Netns, name: string, { before, log }: { before: Offload | undefined; log: Log }): Offload | undefined {
  const link = host.links.find(name);
  if (!link) return undefined;
  const isOn = unless(["ENODEV"], () => featuresIn(host).list(link))?.includes(FEATURE);
  if (isOn === undefined) return undefined; // gone meanwhile, or only promised (linux/rehearsal.ts)
  if (before !== "off" || !isOn) return isOn ? (before ?? "untested") : "off";
  featuresIn(host).set(link, FEATURE, false);
  log.change(`switch ${FEATURE} of ${name} off`);
  return "off";
}

/** Others than those that the next node asks, so that a thousand nodes do not all ask the same. */
const someOf = (ends: readonly Ip[]): Ip[] => ends.map((end) => ({ end, place: Math.random() })).toSorted((a, b) => a.place - b.place).slice(0, ASKED).map(({ end }) => end);

/** Asks the other ends; what is found to be broken is off afterwards. */
async function testOffload(host: Netns, link: Link, ends: readonly Ip[]): Promise<Offload> {
  if (ends.length === 0) return "untested";
  if (await anyAnswers(host, ends)) return "works";
  featuresIn(host).set(link, FEATURE, false);
  if (await anyAnswers(host, ends)) return "off";
  featuresIn(host).set(link, FEATURE, true);
  return "untested";
}

/** Several at once, since some may be gone; true with the first answer. */
async function anyAnswers(host: Netns, ends: readonly Ip[]): Promise<boolean> {
  const answers = await Promise.all(ends.map((end) => answersBy(host, end)));
  return answers.includes(true);
}

async function answersBy(host: Netns, ip: Ip): Promise<boolean> {
  using socket = openSocket(host, { kind: "udp", family: ip.family });
  for (let tries = 0; tries < TRIES; tries++) {
    try {
      socket.connect({ ip, port: CLOSED_PORT });
      socket.send(new TextEncoder().encode("vethwork: is this checksum right?"));
      for (let waitedMs = 0; waitedMs < ANSWER_MS; waitedMs += PAUSE_MS) {
        if (socket.wait("in", 0)) socket.receive();
        await Bun.sleep(PAUSE_MS);
      }
    } catch (error) {
      if (isErrno(error, "ECONNREFUSED")) return true;
      if (!isErrno(error, "EHOSTUNREACH", "ENETUNREACH", "EACCES", "EPERM", "EMSGSIZE", "EAGAIN")) throw error;
    }
  }
  return false;
}
