/** The manifests, held against the program that they start and the rights that they claim to be the fewest. What the API server says of them is tests/e2e's. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { loadAll } from "js-yaml";
import { DEFAULT_LISTEN, endpointIn } from "@vethwork/agent/server.ts";
import { DEFAULT_RUN_FOLDER } from "@vethwork/agent/place.ts";
import { agent } from "@vethwork/cli/commands/agent.ts";
import { version } from "@vethwork/cli/version.ts";
import { at, list, text } from "../conformance/containerd/read.ts";
import { listFiles, root } from "./files.ts";

const read = (path: string): unknown[] => loadAll(readFileSync(join(root, "deploy", path), "utf8"));
const [daemonSet] = read("base/agent.yaml");
const pod = at(daemonSet, "spec", "template", "spec");
const [container] = list(pod, "containers");
const args = list(container, "args").map(String);

test("every manifest reads, is named after what it is, and is in a kustomization", () => {
  const paths = listFiles().map(({ path }) => path).filter((path) => /^deploy\/.*\.yaml$/.test(path));
  expect(paths.length).toBeGreaterThan(4);
  for (const path of paths) {
    for (const object of loadAll(readFileSync(join(root, path), "utf8"))) expect([path, typeof text(object, "apiVersion"), typeof text(object, "kind")]).toEqual([path, "string", "string"]);
  }
  for (const folder of ["base", "own-node"]) {
    const [kustomization] = read(`${folder}/kustomization.yaml`);
    const files = paths.filter((path) => path.startsWith(`deploy/${folder}/`) && !path.endsWith("kustomization.yaml")).map((path) => path.split("/").at(-1) ?? "");
    expect(list(kustomization, "resources").map(String).sort()).toEqual(files.sort());
  }
});

test("the container is started with options that there are, by an image of this version", () => {
  expect(args[0]).toBe("agent");
  for (const option of args.slice(1)) expect(agent.help).toContain(`  ${option.split("=")[0]} `);
  expect(text(container, "image")).toBe(`vethwork:${version}`);
  expect(readFileSync(join(root, "docs/install.md"), "utf8")).toContain(`vethwork:${version}`);
});

test("it has one capability and no other power over the node", () => {
  const security = at(container, "securityContext");
  expect(security).toEqual({ privileged: false, allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ["ALL"], add: ["NET_ADMIN"] } });
  expect(at(pod, "securityContext", "seccompProfile", "type")).toBe("RuntimeDefault");
  expect(pod).toMatchObject({ hostNetwork: true, priorityClassName: "system-node-critical", tolerations: [{ operator: "Exists" }] });
  for (const shared of ["hostPID", "hostIPC"]) expect(pod).not.toHaveProperty(shared);
});

test("every folder that is mounted is there, and none is there for nothing", () => {
  const mounted = list(container, "volumeMounts").map((mount) => text(mount, "name"));
  expect(mounted.sort()).toEqual(list(pod, "volumes").map((volume) => text(volume, "name")).sort());
  const paths = list(container, "volumeMounts").map((mount) => text(mount, "mountPath"));
  expect(paths).toEqual(expect.arrayContaining(["/opt/cni/bin", "/etc/cni/net.d", "/var/lib/vethwork"]));
  expect(paths.some((path) => DEFAULT_RUN_FOLDER.startsWith(`${path}/`))).toBe(true);
  for (const [option, below] of [["--sysctl-dir=", "/net"], ["--masquerade-file=", ""]] as const) {
    const value = args.find((one) => one.startsWith(option))?.slice(option.length) ?? "";
    expect(paths.some((path) => `${value}${below}` === path || value.startsWith(`${path}/`))).toBe(true);
  }
});

test("the kubelet asks where the agent answers", () => {
  const { hostname, port } = endpointIn(DEFAULT_LISTEN);
  for (const [probe, path] of [["livenessProbe", "/healthz"], ["readinessProbe", "/readyz"]] as const) {
    expect(at(container, probe, "httpGet")).toEqual({ host: hostname, port, path });
  }
});

test("the rights are those that the agent uses, and no more", () => {
  const role = read("base/rights.yaml").find((object) => text(object, "kind") === "ClusterRole");
  expect(at(role, "rules")).toEqual([
    { apiGroups: [""], resources: ["nodes", "services"], verbs: ["list", "watch"] },
    { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["list", "watch"] },
    { apiGroups: ["networking.k8s.io"], resources: ["servicecidrs"], verbs: ["list", "watch"] },
    { apiGroups: [""], resources: ["nodes/status"], verbs: ["patch"] },
  ]);
});
