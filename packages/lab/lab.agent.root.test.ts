/** The agents of a lab while packets flow: killed, started again, replaced, none of them loses one. */
import { expect } from "bun:test";
import { openSocket, type Ip, type Netns } from "@vethwork/linux";
import { until } from "../../tests/conformance/node/until.ts";
import { findStatus, killAgent, startAgent, untilReady, writeCluster } from "./agent.ts";
import { LabFailure } from "./failure.ts";
import { listPods, type Lab, type LabNode } from "./lab.ts";
import { entering, environment, fileIn, openNetwork, outputOf, podNetns } from "./machine.ts";
import { labTest } from "./testing/labtest.ts";

const size = { nodes: 2, pods: 2, families: [4] } as const;

/** So many pings, one each hundredth of a second. */
const PINGS = 300;

interface Talk {
  sent: number;
  received: number;
  bytes: number;
  arrived: number;
  rounds: number;
}

/** Pings, and pieces of one TCP stream, from a pod to one on another node; `act` is repeated until the pings are over. */
async function whileTalking(lab: Lab, act: (nodes: readonly [LabNode, LabNode]) => Promise<void>): Promise<Talk> {
  const [one, two] = lab.nodes;
  if (!one || !two) throw new LabFailure("there are no two nodes");
  const [to] = await listPods(two);
  const ip = to?.addresses[0] ?? expect.unreachable();
  const argv = entering(one.machine, ["ping", "-q", "-n", "-i", "0.01", "-c", String(PINGS), String(ip)], podNetns(one.pods[0] ?? ""));
  const ping = Bun.spawn(argv, { env: environment(), stdout: "pipe" });
  using stream = openStream(openNetwork(one.machine, one.pods[0]), openNetwork(two.machine, two.pods[0]), ip);
  const stop = new AbortController();
  const streaming = (async () => {
    while (ping.exitCode === null && !stop.signal.aborted) {
      stream.pass();
      await Promise.race([ping.exited, outputOf(one.machine, ["true"])]); // a piece now and then, all the time
    }
  })();
  let rounds = 0;
  try {
    for (; ping.exitCode === null; rounds++) await act([one, two]);
  } catch (error) {
    stop.abort();
    throw error;
  } finally {
    await streaming;
  }
  const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(await ping.stdout.text()) ?? [];
  return { sent: Number(sent), received: Number(received), ...stream.counts, rounds };
}

const PIECE = new Uint8Array(1000).fill(7);

/** A connection between two namespaces, which are closed with it. */
function openStream(from: Netns, to: Netns, ip: Ip): Disposable & { pass(): void; counts: { bytes: number; arrived: number } } {
  const all = new DisposableStack();
  for (const netns of [from, to]) all.use(netns);
  const server = all.use(openSocket(to, { kind: "tcp", family: ip.family }));
  server.bind(ip);
  server.listen();
  const client = all.use(openSocket(from, { kind: "tcp", family: ip.family }));
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
  return { pass, counts, [Symbol.dispose]: () => all.dispose() };
}

for (const links of ["l2", "l3"] as const) {
  labTest(`${links}: agents that are killed, stopped and started again lose no packet and break no stream`, { ...size, links }, async (lab) => {
    const { sent, received, bytes, arrived, rounds } = await whileTalking(lab, async (nodes) => {
      const [one, two] = nodes.map(({ machine }) => machine);
      if (!one || !two) return;
      await killAgent(one);
      await outputOf(two, ["kill", "-TERM", String(findStatus(two)?.pid)]);
      expect(await until(() => findStatus(two) === undefined)).toBe(true);
      for (const node of nodes) await startAgent(node.machine, node);
      for (const machine of [one, two]) expect((await untilReady(machine)).lastChange).toBeUndefined();
    });
    console.log(`${links}: agents ended ${rounds} times; ${sent} pings sent, ${received} answered; ${bytes} bytes sent, ${arrived} arrived`);
    expect({ received, arrived }).toEqual({ received: PINGS, arrived: bytes });
    expect(Math.min(rounds, bytes)).toBeGreaterThan(0);
  });
}

labTest("a node that joins is reached by pods that have been there all along, and one that leaves takes its routes with it", { nodes: 3, pods: 3, families: [4], links: "l3" }, async ({ nodes }) => {
  const [one, two, three] = nodes;
  if (!one || !two || !three) throw new LabFailure("there are no three nodes");
  const routes = () => outputOf(one.machine, ["ip", "route", "show", "proto", "119"]);
  writeCluster(one.machine, [one, two]);
  expect(await until(async () => !(await routes()).includes("10.244.3.0/24"))).toBe(true);
  writeCluster(one.machine, nodes);
  expect(await until(async () => (await routes()).includes("10.244.3.0/24"))).toBe(true);
  const [pod] = await listPods(three);
  await outputOf(one.machine, ["ping", "-c", "1", "-W", "2", String(pod?.addresses[0])], { netns: podNetns(one.pods[0] ?? "") });
});

labTest("pods are added without an agent", size, async ({ nodes: [node] }) => {
  if (!node) throw new LabFailure("there is no node");
  await killAgent(node.machine);
  expect(await Bun.file(fileIn(node.machine, "/etc/cni/net.d/10-lab.conflist")).exists()).toBe(true);
  await outputOf(node.machine, ["ip", "netns", "add", "late"]);
  expect(await outputOf(node.machine, ["vethwork", "cni", "add", "lab", "late"])).toContain("10.244.1.3/32");
  expect(await outputOf(node.machine, ["vethwork", "cni", "status", "lab"])).toBe("");
});
