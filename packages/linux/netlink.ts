/**
 * Netlink sockets: requests to the kernel, and its answers.
 *
 *     request ──▶ kernel does it at once ──▶ acknowledgement, or an error with words and the attribute to blame
 *     get     ──▶                        ──▶ one message
 *     dump    ──▶                        ──▶ messages … done
 *     batch   ──▶ all of them or none    ──▶ an error names the operation that is to blame
 *     series  ──▶ each for itself        ──▶ an error for each that failed
 *
 * The kernel has answered when send() returns, so nothing here waits: an answer that is not there yet never comes,
 * and is an error (EAGAIN) instead of a hang. A socket belongs to the namespace in which it was opened, for ever.
 */
import { KernelError, errnoName } from "./errors.ts";
import { aboutToSend } from "./faults.ts";
import { closeFile, recv, send, setSocketOption, socket, strerror } from "./libc.ts";
import { NETLINK, NLM_F, NLMSG, acknowledgement, nlmsgerr, nlmsghdr } from "./uapi/netlink.ts";
import { AF, MSG, SO, SOCK, SOL } from "./uapi/socket.ts";
import { createWriter, s32, viewOf, write, type Codec, type Writer } from "./wire/codec.ts";
import { attributeAt } from "./wire/explain.ts";

export interface Request<T> {
  /** For the error message, as in `add link "veth1f03"`. */
  what: string;
  /** RTM.*, or a subsystem and a message of nfnetlink. */
  type: number;
  /** NLM_F.*; REQUEST and ACK are added. */
  flags?: number;
  codec: Codec<T>;
  value: T;
}

export interface NetlinkSocket extends Disposable {
  /** Asks for a change; returns when it is done. */
  request<T>(request: Request<T>): void;
  /** Asks for one thing. */
  get<T, R>(request: Request<T>, decode: (body: Uint8Array) => R): R;
  /** Asks for all things of a kind; asked again where they changed meanwhile, up to five times. */
  dump<T, R>(request: Request<T>, decode: (body: Uint8Array) => R): R[];
  /**
   * As dump, once, and nothing is kept: each thing is handed on as it comes, for what there may be a million of. What
   * changes meanwhile may be missed. The visitor asks the kernel nothing: the buffer it reads from is everybody's.
   */
  visit<T>(request: Request<T>, visitor: (body: Uint8Array) => void): void;
  /** Sends several requests in one message; only the last is acknowledged, an error may come for each. */
  batch(requests: readonly Request<unknown>[]): void;
  /** Asks for many changes in few messages, each for itself: one that fails keeps no other from being done. Gives those that failed. */
  series(requests: readonly Request<unknown>[]): Failure[];
}

/** A request of many that was refused. */
export interface Failure {
  /** Its place among the requests. */
  index: number;
  error: KernelError;
}

interface Answer {
  type: number;
  flags: number;
  sequence: number;
  body: Uint8Array;
}

const HEADER = nlmsghdr.size;
const RECEIVE = 32 * 1024; // the kernel fills no more of a dump at a time (netlink_recvmsg)
const LARGE = 128 * 1024;  // above this a batch needs more room in the socket than the default of 208 KiB
const DUMPS = 5;
/** What each request of a message is answered with waits in the socket until all are done, where there is room for 208 KiB. */
const PORTION = 100;

/** One buffer serves all sockets: an answer has been read before the next request is sent. */
let received: Uint8Array | undefined;

/** Opens a socket in the calling thread's network namespace. `protocol` is NETLINK.ROUTE or NETLINK.NETFILTER. */
export function openNetlink(protocol: number): NetlinkSocket {
  const wire = openWire(protocol);

  /** Asks one thing; gives the answer's body, or undefined where there is only an acknowledgement. */
  const ask = (one: Request<unknown>, flags: number): Uint8Array | undefined => {
    const [sent] = wire.send([one], () => flags);
    for (;;) {
      for (const answer of wire.receive()) {
        if (answer.sequence !== sent?.sequence) continue;
        if (answer.type !== NLMSG.ERROR) return answer.body;
        throwIfError(answer, one, sent);
        return undefined;
      }
    }
  };

  /** Asks for all things of a kind, once; false where the kernel says that they changed while it told them. */
  const visit = (one: Request<unknown>, visitor: (body: Uint8Array) => void): boolean => {
    const [sent] = wire.send([one], () => NLM_F.DUMP);
    let isWhole = true;
    for (;;) {
      for (const answer of wire.receive()) {
        if (answer.sequence !== sent?.sequence) continue;
        if ((answer.flags & NLM_F.DUMP_INTR) !== 0) isWhole = false;
        if (answer.type === NLMSG.ERROR || answer.type === NLMSG.DONE) {
          throwIfError(answer, one, sent); // DONE carries an errno in the same place
          return isWhole;
        }
        visitor(answer.body);
      }
    }
  };

  return {
    request: (one) => void ask(one, NLM_F.ACK),
    get: (one, decode) => {
      const body = ask(one, 0);
      if (body) return decode(body);
      throw new KernelError(`Cannot ${one.what}`, "ENODATA");
    },
    dump: <T, R>(one: Request<T>, decode: (body: Uint8Array) => R) => {
      for (let tries = 0; tries < DUMPS; tries++) {
        const found: R[] = [];
        if (visit(one, (body) => void found.push(decode(body)))) return found;
      }
      throw new KernelError(`Cannot ${one.what}`, "EINTR", { reason: `it changed during each of ${DUMPS} dumps` });
    },
    visit: (one, visitor) => void visit(one, visitor),
    batch: (requests) => {
      const last = requests.length - 2; // the operation before the batch's end
      const sent = wire.send(requests, (index) => (index === last ? NLM_F.ACK : 0));
      for (;;) {
        for (const answer of wire.receive()) {
          const index = sent.findIndex(({ sequence }) => sequence === answer.sequence);
          const culprit = requests[index];
          if (!culprit || answer.type !== NLMSG.ERROR) continue;
          throwIfError(answer, culprit, sent[index]);
          if (index === last) return;
        }
      }
    },
    series: (requests) => portionsOf(requests).flatMap(({ from, some }) => seriesOnce(wire, some).map(({ index, error }) => ({ index: from + index, error }))),
    [Symbol.dispose]: wire.close,
  };
}

function portionsOf<T>(all: readonly T[]): { from: number; some: readonly T[] }[] {
  return Array.from({ length: Math.ceil(all.length / PORTION) }, (_, at) => ({ from: at * PORTION, some: all.slice(at * PORTION, (at + 1) * PORTION) }));
}

/** Only the last is acknowledged, an error may come for each. */
function seriesOnce(wire: Wire, requests: readonly Request<unknown>[]): Failure[] {
  const last = requests.length - 1;
  const sent = wire.send(requests, (index) => (index === last ? NLM_F.ACK : 0));
  const failures: Failure[] = [];
  for (;;) {
    for (const answer of wire.receive()) {
      const index = answer.sequence - (sent[0]?.sequence ?? 0);
      const [request, as] = [requests[index], sent[index]];
      if (!request || !as || answer.type !== NLMSG.ERROR) continue;
      const error = errorIn(answer, request, as);
      if (error) failures.push({ index, error });
      if (index === last) return failures;
    }
  }
}

/** A request as it went out. */
interface Sent {
  sequence: number;
  bytes: Uint8Array;
}

/** The socket itself: messages out, messages in. */
interface Wire {
  send(requests: readonly Request<unknown>[], flagsOf: (index: number) => number): Sent[];
  /** The next answers. KernelError EAGAIN where nothing more comes. */
  receive(): Answer[];
  close(): void;
}

function openWire(protocol: number): Wire {
  const fd = socket(AF.NETLINK, SOCK.RAW, protocol);
  setSocketOption(fd, SOL.NETLINK, NETLINK.CAP_ACK, 1);
  setSocketOption(fd, SOL.NETLINK, NETLINK.EXT_ACK, 1);
  if (protocol === NETLINK.ROUTE) setSocketOption(fd, SOL.NETLINK, NETLINK.GET_STRICT_CHK, 1);
  let sequence = 0;
  const into = (received ??= new Uint8Array(RECEIVE));
  return {
    send: (requests, flagsOf) => {
      const writer = createWriter();
      const places = requests.map((request, index) => {
        const at = writer.length();
        const flags = NLM_F.REQUEST | (request.flags ?? 0) | flagsOf(index);
        putMessage(writer, request, { flags, sequence: ++sequence });
        return { at, end: writer.length(), sequence };
      });
      const bytes = writer.bytes();
      if (bytes.length > LARGE) setSocketOption(fd, SOL.SOCKET, SO.SNDBUFFORCE, bytes.length * 2);
      aboutToSend(() => requests.map(({ what }) => what).join("; "));
      send(fd, bytes);
      return places.map((place) => ({ sequence: place.sequence, bytes: bytes.subarray(place.at, place.end) }));
    },
    receive: () => {
      const length = recv(fd, into, MSG.DONTWAIT | MSG.TRUNC);
      if (length > into.length) throw new RangeError(`Cannot receive ${length} bytes of netlink (${into.length} fit)`);
      return answersIn(into.subarray(0, length));
    },
    close: () => closeFile(fd),
  };
}

function putMessage<T>(writer: Writer, { type, codec, value }: Request<T>, header: { flags: number; sequence: number }): void {
  const at = writer.reserve(HEADER);
  write(writer, codec, value);
  const length = writer.length() - at;
  writer.reserve(((length + 3) & ~3) - length);
  const { flags, sequence } = header;
  writer.patch(nlmsghdr, at, { nlmsg_len: length, nlmsg_type: type, nlmsg_flags: flags, nlmsg_seq: sequence });
}

/** The messages in what one recv() gave. */
export function answersIn(bytes: Uint8Array): Answer[] {
  const answers: Answer[] = [];
  for (let at = 0; at + HEADER <= bytes.length; ) {
    const { nlmsg_len, nlmsg_type, nlmsg_flags, nlmsg_seq } = nlmsghdr.decode(bytes.subarray(at));
    if (nlmsg_len < HEADER || at + nlmsg_len > bytes.length) {
      const wanted = `${HEADER} to ${bytes.length - at} are wanted`;
      throw new RangeError(`Cannot decode netlink: a message claims ${nlmsg_len} bytes at offset ${at} (${wanted})`);
    }
    const body = bytes.subarray(at + HEADER, at + nlmsg_len);
    answers.push({ type: nlmsg_type, flags: nlmsg_flags, sequence: nlmsg_seq, body });
    at += (nlmsg_len + 3) & ~3;
  }
  return answers;
}

function throwIfError(answer: Answer, request: Request<unknown>, sent: Sent | undefined): void {
  const error = errorIn(answer, request, sent);
  if (error) throw error;
}

/** What an acknowledgement says is wrong; undefined where nothing is. */
function errorIn(answer: Answer, { what, codec }: Request<unknown>, sent: Sent | undefined): KernelError | undefined {
  const errno = answer.body.length >= 4 ? -s32.get(viewOf(answer.body), 0) : 0;
  if (errno === 0) return undefined;
  const hasWords = (answer.flags & NLM_F.ACK_TLVS) !== 0 && answer.body.length > nlmsgerr.size;
  const { MSG: words, OFFS: offset } = hasWords && answer.type === NLMSG.ERROR ? acknowledgement.decode(answer.body).attrs : {};
  const culprit = offset !== undefined && sent ? attributeAt(codec, sent.bytes.subarray(HEADER), offset - HEADER) : undefined;
  return new KernelError(`Cannot ${what}`, errnoName(errno), {
    reason: strerror(errno),
    ...(words && { extack: words }),
    ...(culprit && { attribute: culprit }),
  });
}
