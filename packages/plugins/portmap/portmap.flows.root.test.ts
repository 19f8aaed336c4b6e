/** A client of UDP that keeps sending from one socket, while pods come and go behind the port: each packet goes to who is there. */
import { expect } from "bun:test";
import { openSocket, parseIp, type IpSocket, type Netns } from "@vethwork/linux";
import { netnsOf } from "../testing/calls.ts";
import { addPortPod, connectPod, type PortMapping, type PortPod } from "../testing/port-chain.ts";
import { stageTest, type Stage } from "../testing/stage.ts";

const dns = (hostIP?: string): PortMapping => ({ hostPort: 8053, containerPort: 53, protocol: "udp", ...(hostIP !== undefined && { hostIP }) });

/** A socket that listens in a namespace, and one of a caller that calls the same address for ever. */
function listen(netns: Netns, port: number, family: 4 | 6 = 4): IpSocket {
  const socket = openSocket(netns, { kind: "udp", family });
  socket.bind(parseIp(family === 4 ? "0.0.0.0" : "::"), port);
  return socket;
}

function caller(stage: Stage, from: string, address: string): { hearsFrom(listener: IpSocket | undefined): boolean } & Disposable {
  using netns = netnsOf(stage, from);
  const socket = openSocket(netns, { kind: "udp", family: address.includes(":") ? 6 : 4 });
  return {
    // One packet, which must arrive and be answered by the address that was called. Unheard, it leaves a flow behind all the same.
    hearsFrom: (listener) => {
      socket.send(Uint8Array.of(1), { ip: parseIp(address), port: 8053 });
      if (!listener?.wait("in", 5_000)) return false;
      const { bytes, from: peer } = listener.receive();
      listener.send(bytes, peer);
      if (!socket.wait("in", 5_000)) return false;
      return String(socket.receive().from.ip) === address;
    },
    [Symbol.dispose]: () => socket[Symbol.dispose](),
  };
}

/** Flows to the port, each as what was called and who answers. */
const flowsTo = (node: Netns, port: number): string[] => node.conntrack.list().filter(({ original }) => original.destinationPort === port)
  .map(({ original, reply }) => `${original.protocol} ${original.source} → ${original.destination} = ${reply.source}:${reply.sourcePort}`).toSorted();

for (const backend of ["nftables", "iptables"] as const) {
  stageTest(`by ${backend}: who goes on sending while a pod is replaced reaches the new one with the next packet, and the node itself while there is none`, async (stage) => {
    using node = netnsOf(stage, "node");
    const callers = [["world", "192.0.2.1"], ["world", "2001:db8::1"], ["node", "127.0.0.1"], ["node", "192.0.2.1"]] as const;
    using all = new DisposableStack();
    const clients = callers.map(([from, address]) => ({ from, address, client: all.use(caller(stage, from, address)) }));
    const told = (listener: (address: string) => IpSocket | undefined) => clients.map(({ from, address, client }) => [from, address, client.hearsFrom(listener(address))]);
    const whole = (answer: boolean) => callers.map(([from, address]) => [from, address, answer]);

    let one: PortPod | undefined;
    for (const name of ["pod1", "pod2"]) {
      // Nobody is there yet, or any more: the flow that this packet begins ends at the node.
      for (const { client } of clients) client.hearsFrom(undefined);
      const next = await connectPod(stage, { name, options: { backend }, ports: [dns()] });
      expect((await next.portmap("ADD")).code).toBe(0);
      using inPod = netnsOf(stage, name);
      {
        using listener4 = listen(inPod, 53);
        using listener6 = listen(inPod, 53, 6);
        for (let times = 0; times < 2; times++) expect({ name, told: told((address) => (address.includes(":") ? listener6 : listener4)) }).toEqual({ name, told: whole(true) });
      }
      expect(await next.portmap("DEL")).toMatchObject({ code: 0, out: "" });
      expect(flowsTo(node, 8053)).toEqual([]);
      {
        using listener4 = listen(node, 8053);
        using listener6 = listen(node, 8053, 6);
        expect({ name, told: told((address) => (address.includes(":") ? listener6 : listener4)) }).toEqual({ name, told: whole(true) });
      }
      one = next;
    }
    await one?.end();
  });
}

stageTest("no flow is forgotten but those of the port: not what passes by, not another address', not TCP's, not those that lead to this pod already", async (stage) => {
  using node = netnsOf(stage, "node");
  const make = (...options: string[]) => stage.node.run(["conntrack", "-I", "-t", "100", ...options, "--sport", "999", "--dport", "8053"]);
  const client = ["-s", "192.0.2.254"];
  await make("-p", "udp", ...client, "-d", "198.51.100.7"); // to another host's port of that number, by way of this node
  await make("-p", "udp", ...client, "-d", "10.1.2.1"); // to another address of the node
  await make("-p", "tcp", ...client, "-d", "192.0.2.1", "--state", "ESTABLISHED");
  await make("-p", "udp", ...client, "-d", "192.0.2.1", "--dst-nat", "10.1.2.2:53"); // as of this pod, told a moment ago
  await make("-p", "udp", "-s", "192.0.2.253", "-d", "192.0.2.1", "--dst-nat", "10.1.2.9:53"); // to a pod that is gone
  await make("-p", "udp", "-s", "192.0.2.252", "-d", "192.0.2.1", "--dst-nat", "10.1.2.2:5353"); // to another port of the pod
  await make("-p", "udp", "-s", "192.0.2.251", "-d", "192.0.2.1"); // to the node itself
  const kept = ["17 192.0.2.254 → 10.1.2.1 = 10.1.2.1:8053", "17 192.0.2.254 → 198.51.100.7 = 198.51.100.7:8053", "6 192.0.2.254 → 192.0.2.1 = 192.0.2.1:8053"];
  const own = "17 192.0.2.254 → 192.0.2.1 = 10.1.2.2:53";
  const pod = await addPortPod(stage, { name: "pod1", ports: [dns("192.0.2.1")] });
  expect(flowsTo(node, 8053)).toEqual([...kept, own].toSorted());
  await make("-p", "udp", "-s", "192.0.2.252", "-d", "192.0.2.1", "--dst-nat", "10.1.2.2:5353");
  expect(await pod.portmap("DEL")).toMatchObject({ code: 0, out: "" });
  expect(flowsTo(node, 8053)).toEqual([...kept, "17 192.0.2.252 → 192.0.2.1 = 10.1.2.2:5353"].toSorted()); // not by this port
});
