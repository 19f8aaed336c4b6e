/**
 * A pod's interface as a line to DHCP servers: what is sent leaves by it, what comes to port 68 is heard.
 *
 * The sockets are the pod's, the process stays where it is. None outlives a question: a socket holds its namespace, and a pod that is
 * deleted meanwhile would live on, with its end of the cable. So the path is opened anew for each message.
 */
import { connect, type Socket } from "node:net";
import { messageOf } from "@vethwork/cni";
import { NOBODY, Netns, datagramIn, listenDatagrams, openSocket, sendDatagram, unless, type IpSocket, type Link, type Mac } from "@vethwork/linux";
import { Gone, type Line } from "./exchange.ts";
import { decodeMessage, encodeMessage, type Message } from "./message.ts";
import { CLIENT_PORT, SERVER_PORT, type Destination } from "./requests.ts";

/** Where the interface is. */
export interface Place {
  /** The path of the namespace, as this process sees it. */
  path: string;
  ifname: string;
}

export interface Hearing {
  onMessage: (message: Message, from: Mac) => void;
  complain: (what: string) => void;
}

/** Opens nothing before there is something to send: Gone where there is no such namespace then. */
export function openLine({ path, ifname }: Place, { onMessage, complain }: Hearing): Line {
  let stream: Socket | undefined;
  let seat: IpSocket | undefined;
  const hear = (frame: Uint8Array): void => {
    try {
      const { payload, mac } = datagramIn(frame);
      onMessage(decodeMessage(payload), mac);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      complain(error.message);
    }
  };
  const listen = (pod: Netns, link: Link): Socket => {
    const opened = connect({ fd: listenDatagrams(pod, link, CLIENT_PORT), port: 0 }); // the descriptor is the stream's from here on
    opened.on("data", hear);
    opened.on("error", (error) => complain(messageOf(error))); // ENETDOWN: it listens again when the next message is sent
    opened.on("close", () => (stream = stream === opened ? undefined : stream));
    return opened;
  };
  return {
    send: (message: Message, { mac, ip, from }: Destination) => inPod(path, (pod) => {
      const link = pod.links.get(ifname);
      stream ??= listen(pod, link);
      seat ??= takeSeat(pod);
      sendDatagram(pod, link, { mac, from: { ip: from, port: CLIENT_PORT }, to: { ip, port: SERVER_PORT }, payload: encodeMessage(message) });
    }),
    [Symbol.dispose]: () => {
      stream?.destroy();
      seat?.[Symbol.dispose]();
    },
  };
}

/** A socket that nobody reads: without one the pod's kernel would answer the server that nobody listens there (ICMP). */
function takeSeat(pod: Netns): IpSocket {
  const socket = openSocket(pod, { kind: "udp", family: 4 });
  unless(["EADDRINUSE"], () => socket.bind(NOBODY, CLIENT_PORT));
  return socket;
}

/** Works on a namespace that is opened for the moment. */
export function inPod<T>(path: string, work: (pod: Netns) => T): T {
  using pod = Netns.find(path);
  if (!pod) throw new Gone(`the namespace "${path}" is gone`);
  return work(pod);
}
