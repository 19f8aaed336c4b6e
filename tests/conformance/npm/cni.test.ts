/**
 * The CNI library as its users get it: packed by npm, installed in an empty folder, used by plain Node, checked by a strict
 * TypeScript that knows nothing of this repository.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dir, "../../..");
const plugin = `#!/usr/bin/env node
import { config, definePlugin, integer, runPlugin } from "@vethwork/cni";
runPlugin(definePlugin({
  type: "tiny", about: "gives one interface", config: config({ mtu: [integer({ min: 68, max: 65535 }), 1500, "in bytes"] }),
  add: ({ args, config: { mtu } }) => ({ interfaces: [{ name: args.ifname, mtu, sandbox: args.netns }] }),
  del: () => {},
}), { version: "1.2.3" });
`;
const attach = `import { createCni, loadNetworkConf, type Result, type RuntimeConf } from "@vethwork/cni";
const runtime: RuntimeConf = { containerId: "c1", netns: "/run/netns/c1", ifname: "eth0" };
const cni = createCni({ path: [process.argv[2] ?? ""], cacheDir: process.argv[3] ?? "" });
const network = loadNetworkConf(process.argv[4] ?? "", "tiny");
const result: Result = await cni.addNetworkList(network, runtime);
const cached = await cni.getNetworkListCachedResult(network, runtime);
await cni.delNetworkList(network, runtime);
console.log(JSON.stringify([result, cached, await cni.getCachedAttachments()]));
`;

let folder = "";
const run = (argv: readonly string[], options: { cwd?: string; stdin?: string; env?: Record<string, string> } = {}) => {
  const { NODE_OPTIONS: _options, NODE_EXTRA_CA_CERTS: _certificates, ...env } = process.env;
  const { exitCode, stdout, stderr } = Bun.spawnSync([...argv], { cwd: options.cwd ?? folder, stdin: Buffer.from(options.stdin ?? ""), env: { ...env, ...options.env } });
  return { code: exitCode, out: stdout.toString(), err: stderr.toString() };
};
const well = (argv: readonly string[], options?: Parameters<typeof run>[1]): string => {
  const { code, out, err } = run(argv, options);
  expect({ argv, code, ...(code !== 0 && { out, err }) }).toEqual({ argv: [...argv], code: 0 });
  return out;
};

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "packed-"));
  well(["npm", "pack", "--silent", "--pack-destination", folder], { cwd: join(root, "packages/cni") });
  writeFileSync(join(folder, "package.json"), '{"name":"app","private":true,"type":"module"}');
  const [tarball = ""] = readdirSync(folder).filter((name) => name.endsWith(".tgz"));
  well(["npm", "install", "--silent", "--offline", "--no-audit", "--no-fund", `./${tarball}`]);
  for (const name of ["bin", "net.d"]) mkdirSync(join(folder, name));
  writeFileSync(join(folder, "net.d/10-tiny.conflist"), '{"cniVersion":"1.1.0","name":"tiny","plugins":[{"type":"tiny","mtu":1400}]}');
  writeFileSync(join(folder, "bin/tiny"), plugin); // no ending: the folder's package.json says that it is a module
  chmodSync(join(folder, "bin/tiny"), 0o755);
  writeFileSync(join(folder, "attach.ts"), attach);
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const request = (CNI_COMMAND: string) => ({ CNI_COMMAND, CNI_CONTAINERID: "c1", CNI_NETNS: "/run/netns/c1", CNI_IFNAME: "eth0", CNI_PATH: "/bin" });

test("the package has code, types, a README and a licence, and no tests", () => {
  const files = readdirSync(join(folder, "node_modules/@vethwork/cni"), { recursive: true }).map(String);
  for (const file of ["package.json", "README.md", "LICENSE", "index.ts", "dist/index.js", "dist/index.d.ts"]) expect(files).toContain(file);
  expect(files.filter((file) => file.includes("test"))).toEqual([]);
});

test("a plugin written with it answers VERSION, ADD and a wrong request on plain Node", () => {
  const tiny = ["node", join(folder, "bin/tiny")];
  expect(JSON.parse(well(tiny, { env: request("VERSION") }))).toMatchObject({ supportedVersions: expect.arrayContaining(["0.1.0", "1.1.0"]) });
  const stdin = '{"cniVersion":"1.1.0","name":"n","type":"tiny"}';
  expect(JSON.parse(well(tiny, { env: request("ADD"), stdin }))).toEqual({ cniVersion: "1.1.0", interfaces: [{ name: "eth0", mtu: 1500, sandbox: "/run/netns/c1" }] });
  const wrong = run(tiny, { env: request("ADD"), stdin: stdin.replace('"type"', '"mtu":1,"type"') });
  expect({ code: wrong.code, ...JSON.parse(wrong.out) }).toMatchObject({ code: 7, msg: expect.stringContaining("mtu") });
});

test("a program written with it type-checks under strict, and attaches on plain Node", () => {
  const strict = ["--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess", "--module", "nodenext", "--target", "es2023", "--types", "node"];
  well([join(root, "node_modules/.bin/tsc"), ...strict, "--typeRoots", join(root, "node_modules/@types"), "attach.ts"]);
  const out = well(["node", "attach.js", join(folder, "bin"), join(folder, "cache"), join(folder, "net.d")]);
  const result = { interfaces: [{ name: "eth0", mtu: 1400, sandbox: "/run/netns/c1" }] };
  expect(JSON.parse(out)).toEqual([result, result, []]);
});
