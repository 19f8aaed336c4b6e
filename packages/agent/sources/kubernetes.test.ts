/** An API server that is followed through all that happens to one, over TLS with certificates and tokens. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { bootClock } from "@vethwork/plugins/shared/clock.ts";
import { missing, skipped } from "../../../tests/conformance/node/needs.ts";
import { until } from "../../../tests/conformance/node/until.ts";
import { KEY_ANNOTATION, nodes } from "../readers/node.ts";
import { serviceCidrs } from "../readers/service-cidr.ts";
import { startApiServer, type ApiServer } from "../testing/api-server.ts";
import { nodeObject, numbered } from "../testing/nodes.ts";
import { createKubernetesSource } from "./kubernetes.ts";
import type { Source } from "./source.ts";

const lacks = missing({ programs: ["openssl"] });
const node = (number: number, more = {}) => nodeObject({ ...numbered(number), ...more });

interface Play {
  server: ApiServer;
  source: Source;
  /** Waits until exactly these nodes are known. */
  knows(...numbers: number[]): Promise<void>;
  watched(): Promise<void>;
  changes(): number;
}

interface Setting {
  token?: string;
  /** What is there before the agent is. */
  objects?: readonly ReturnType<typeof node>[];
  away?: boolean;
  kubeconfigOf?: (server: ApiServer) => string;
}

function apiTest(title: string, act: (play: Play) => Promise<void>, { token, objects = [node(1)], away = false, kubeconfigOf = ({ kubeconfig }) => kubeconfig }: Setting = {}): void {
  test.skipIf(lacks !== "")(skipped(title, lacks), async () => {
    await using server = await startApiServer(token === undefined ? {} : { token });
    server.put(...objects);
    if (away) await server.stop();
    await using source = createKubernetesSource({ kubeconfig: kubeconfigOf(server), clock: bootClock, log: () => {}, chance: () => 0 });
    const followed = source.follow(nodes);
    let changes = 0;
    source.start(() => (changes += 1));
    const known = () => followed.all()?.map(({ name }) => name).sort().join();
    const knows = async (...numbers: number[]): Promise<void> => {
      const wanted = numbers.map((number) => `node-${number}`).sort().join();
      await until(() => known() === wanted, 10_000);
      expect(known()).toBe(wanted);
    };
    const watched = async (): Promise<void> => expect(await until(() => server.watchers() > 0, 10_000)).toBe(true);
    await act({ server, source, knows, watched, changes: () => changes });
  }, 30_000);
}

const listsIn = ({ asked }: ApiServer): number => asked.filter((one) => !one.includes("watch=1")).length;

apiTest("nodes are listed, then come, change and go; what changes nothing of the network is no change", async ({ server, source, knows, watched, changes }) => {
  await knows(1);
  await watched();
  server.put(node(2), node(3));
  await knows(1, 2, 3);
  server.delete("node-2");
  await knows(1, 3);
  const before = changes();
  for (let heartbeat = 0; heartbeat < 5; heartbeat++) server.put(node(1, { conditions: [{ type: "Ready", status: "True", lastHeartbeatTime: String(heartbeat) }] }));
  server.put(node(4));
  await knows(1, 3, 4);
  expect(changes()).toBe(before + 1);
  expect(source.status()).toEqual({ name: `API server ${server.url}`, isSynced: true, problems: [] });
  expect(listsIn(server)).toBe(1);
});

apiTest("a watch that ends or is cut is taken up where it was, by bookmarks, too, without listing again", async ({ server, knows, watched }) => {
  await watched();
  server.bookmark();
  for (const [at, how] of (["orderly", "cut", "orderly"] as const).entries()) {
    expect(await until(() => server.end(how) === 1)).toBe(true);
    server.put(node(2 + at));
    await knows(...Array.from({ length: 2 + at }, (_, index) => index + 1));
  }
  const versions = server.asked.flatMap((one) => /resourceVersion=(\d+)/.exec(one)?.[1] ?? []);
  expect([listsIn(server), versions[0], versions[1]]).toEqual([1, "101", "102"]);
});

apiTest("a version that the server has forgotten is listed anew, in the middle of a watch and at its begin; what went meanwhile is gone", async ({ server, knows, watched }) => {
  await watched();
  server.put(node(2));
  await knows(1, 2);
  server.forget();
  await watched();
  expect(listsIn(server)).toBe(2);
  await server.stop();
  server.delete("node-1");
  server.put(node(3));
  server.forget();
  server.start();
  await knows(2, 3);
  await watched();
  server.put(node(4));
  await knows(2, 3, 4);
});

apiTest("a server that is away is waited for, with what was known; before it was ever there nothing is known", async ({ server, source, knows, watched }) => {
  expect(await until(() => source.status().problems.length > 0)).toBe(true);
  expect(source.status()).toMatchObject({ isSynced: false, problems: [expect.stringContaining("the API server does not answer")] });
  server.start();
  await knows(1);
  await watched();
  expect(source.status().problems).toEqual([]);
  await server.stop();
  expect(await until(() => source.status().problems.length > 0)).toBe(true);
  await knows(1);
  expect(source.status().isSynced).toBe(true);
  server.put(node(2));
  server.start();
  await knows(1, 2);
  await until(() => source.status().problems.length === 0);
  expect(source.status().problems).toEqual([]);
}, { away: true });

apiTest("garbage, halves of lines, lines in pieces, refusals and pages of many do no harm", async ({ server, source, knows, watched }) => {
  await knows(...Array.from({ length: 250 }, (_, at) => at + 1));
  expect(listsIn(server)).toBe(3 + 2); // two refused
  await watched();
  for (const harmless of ['{"type":"NEW","object":{}}\n', '{"type":"ADDED"}\n', '{"type":"ADDED","object":7}\n']) server.say(harmless);
  for (const garbage of ["not JSON\n", '{"type":"ERROR","object":{"message":"etcd is gone"}}\n']) {
    const before = server.asked.length;
    server.say(garbage);
    expect(await until(() => server.asked.length > before && server.watchers() > 0, 10_000)).toBe(true);
  }
  const event = JSON.stringify({ type: "ADDED", object: { ...node(300), metadata: { ...node(300).metadata, resourceVersion: "9999" } } });
  for (const piece of [event.slice(0, 10), event.slice(10, 100), `${event.slice(100)}\n\n`]) server.say(piece);
  await knows(...Array.from({ length: 250 }, (_, at) => at + 1), 300);
  expect(source.status().problems).toEqual([expect.stringContaining("it is a number (an object is wanted)")]);
}, { objects: Array.from({ length: 250 }, (_, at) => node(at + 1)), kubeconfigOf: (server) => {
  server.refuse({ status: 500, body: "<html>" }, { status: 429, body: JSON.stringify({ kind: "Status", message: "too many" }) });
  return server.kubeconfig;
} });

apiTest("a node that does not read keeps its last facts, and is told until it reads again", async ({ server, source, knows, watched }) => {
  await watched();
  server.put(node(2), { ...node(1), spec: { podCIDRs: ["10.1"] } });
  await knows(1, 2);
  expect(await until(() => source.status().problems.length === 1)).toBe(true);
  expect(source.status().problems[0]).toStartWith('Node "node-1": spec.podCIDRs[0]');
  server.put(node(1));
  expect(await until(() => source.status().problems.length === 0)).toBe(true);
});

apiTest("what this node tells is a patch of its status, and nothing else of it", async ({ server, source }) => {
  await source.publish("node-1", { wireguardKey: "key" });
  await source.publish("node-1", {});
  await source.setAvailable("node-1");
  expect(server.patches.map(({ path }) => path)).toEqual(Array.from({ length: 3 }, () => "/api/v1/nodes/node-1/status"));
  expect(server.patches.map(({ contentType, body }) => [contentType, body])).toEqual([
    ["application/merge-patch+json", { metadata: { annotations: { [KEY_ANNOTATION]: "key" } } }],
    ["application/merge-patch+json", { metadata: { annotations: { [KEY_ANNOTATION]: null } } }],
    ["application/strategic-merge-patch+json", { status: { conditions: [expect.objectContaining({ type: "NetworkUnavailable", status: "False" })] } }],
  ]);
  server.refuse({ status: 403, body: JSON.stringify({ kind: "Status", message: "nodes \"node-1\" is forbidden" }) });
  expect(source.setAvailable("node-1")).rejects.toThrow('HTTP 403: nodes "node-1" is forbidden');
});

apiTest("a token is read again when it was renewed; a wrong one is told, and tried again", async ({ server, source, knows }) => {
  expect(await until(() => source.status().problems.length > 0)).toBe(true);
  expect(source.status().problems).toEqual([expect.stringContaining("HTTP 401: Unauthorized")]);
  writeFileSync(join(server.folder, "token"), "right");
  await knows(1);
  expect(server.asked.at(-1)).toEndWith("Bearer right");
}, { token: "right", kubeconfigOf: ({ folder, url, authority }) => {
  const path = join(folder, "in-pod.kubeconfig");
  writeFileSync(join(folder, "token"), "wrong");
  const user = { "auth-provider": { name: "tokenFile", config: { tokenFile: join(folder, "token") } } };
  writeFileSync(path, JSON.stringify({
    clusters: [{ name: "c", cluster: { server: url, "certificate-authority": authority.certificate } }],
    users: [{ name: "u", user }], contexts: [{ name: "c", context: { cluster: "c", user: "u" } }], "current-context": "c",
  }));
  return path;
} });

apiTest("a server whose certificate is of another authority is not spoken to", async ({ server, source }) => {
  expect(await until(() => source.status().problems.length > 0)).toBe(true);
  expect(source.status().problems).toEqual([expect.stringMatching(/certificate/)]);
  expect(server.asked).toEqual([]);
}, { kubeconfigOf: ({ folder, url, authority }) => {
  const path = join(folder, "stranger.kubeconfig");
  const strange = authority.tokens.certificate; // any certificate that did not sign the server's
  writeFileSync(path, JSON.stringify({
    clusters: [{ name: "c", cluster: { server: url, "certificate-authority": strange } }],
    users: [{ name: "u", user: { token: "secret" } }], contexts: [{ name: "c", context: { cluster: "c", user: "u" } }], "current-context": "c",
  }));
  return path;
} });

test.skipIf(lacks !== "")(skipped("a kind that an older server does not have is a kind without objects, if it may be so", lacks), async () => {
  await using server = await startApiServer();
  server.refuse({ status: 404, body: "404 page not found" });
  await using source = createKubernetesSource({ kubeconfig: server.kubeconfig, clock: bootClock, log: () => {}, chance: () => 0 });
  const followed = source.follow(serviceCidrs);
  source.start(() => {});
  expect(await until(() => followed.isSynced(), 10_000)).toBe(true);
  expect([followed.all(), source.status().problems]).toEqual([[], []]);
});
