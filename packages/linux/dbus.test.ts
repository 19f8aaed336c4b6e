/** The system bus, as dbus-daemon serves it; and what comes of a bus that is silent, rude, or none. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../../tests/conformance/node/until.ts";
import { missing, skipped } from "../../tests/conformance/node/needs.ts";
import { BusError, findBus, openBus } from "./dbus.ts";
import { errnoOf } from "./testing/room.ts";

const lacks = missing({ programs: ["dbus-daemon"] });
const folder = mkdtempSync(join(tmpdir(), "vethwork-bus-"));
const address = `unix:path=${folder}/bus`;
const policy = '<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy>';
const bus = { destination: "org.freedesktop.DBus", path: "/org/freedesktop/DBus", interface: "org.freedesktop.DBus" } as const;
const children: Bun.Subprocess[] = [];

/** A program that listens at a path below the folder and says `answer` to whatever comes. */
async function startServer(name: string, answer: string): Promise<string> {
  const source = `Bun.listen({ unix: process.argv[1], socket: { data: (socket) => { ${answer} } } })`;
  children.push(Bun.spawn([process.execPath, "-e", source, join(folder, name)], { stdout: "inherit", stderr: "inherit" }));
  const place = `unix:path=${folder}/${name}`;
  await until(() => errnoOf(() => openBus({ address: place, timeoutMs: 1 })) !== "ENOENT");
  return place;
}

beforeAll(async () => {
  if (lacks !== "") return;
  await Bun.write(join(folder, "bus.conf"), `<busconfig><type>system</type><listen>${address}</listen><listen>unix:abstract=${folder.slice(1)}</listen><auth>EXTERNAL</auth>${policy}</busconfig>`);
  children.push(Bun.spawn(["dbus-daemon", `--config-file=${folder}/bus.conf`, "--nofork", "--nopidfile"], { stderr: "ignore" }));
  await until(() => {
    using found = findBus({ address });
    return found !== undefined;
  });
});
afterAll(async () => {
  for (const child of children) child.kill();
  await Promise.all(children.map((child) => child.exited));
  rmSync(folder, { recursive: true });
});

const busTest = (title: string, act: () => void): void => test.skipIf(lacks !== "")(skipped(title, lacks), act);

busTest("who is on the bus is told, and an answer belongs to its call", () => {
  using first = openBus({ address });
  using second = openBus({ address });
  expect([first.hasOwner("org.freedesktop.DBus"), first.hasOwner("org.example.Nobody")]).toEqual([true, false]);
  const [names] = second.call({ ...bus, member: "ListNames" });
  expect(names).toEqual(["org.freedesktop.DBus", expect.stringMatching(/^:1\.\d+$/), expect.stringMatching(/^:1\.\d+$/)]);
  for (const text of ["", "ü", "x".repeat(60_000)]) expect(errnoOf(() => first.call({ ...bus, member: "GetNameOwner", args: [text] }))).toBeInstanceOf(BusError);
  expect(first.call({ ...bus, member: "GetNameOwner", args: ["org.freedesktop.DBus"] })).toEqual(["org.freedesktop.DBus"]);
});

busTest("a no comes with its name and its words", () => {
  using one = openBus({ address });
  const failure = errnoOf(() => one.call({ ...bus, destination: "org.example.Nobody", member: "Anything" }));
  expect(failure).toMatchObject({ errorName: "org.freedesktop.DBus.Error.ServiceUnknown", words: expect.stringContaining("org.example.Nobody") });
  expect(String(failure)).toStartWith('BusError: Cannot call Anything of "org.example.Nobody": ');
});

busTest("the first of several addresses that listens is taken; a path may be escaped, a name abstract", () => {
  const escaped = address.replace("vethwork", "%76eth%77ork");
  for (const some of [`unix:path=${folder}/none;${escaped},guid=00`, `unix:abstract=${folder.slice(1)}`]) {
    using one = openBus({ address: some });
    expect(one.hasOwner("org.freedesktop.DBus")).toBe(true);
  }
});

busTest("where nobody listens there is no bus", () => {
  for (const some of [`unix:path=${folder}/none`, `unix:path=${folder}/bus.conf/x`, `unix:path=${folder}/bus.conf`]) expect(findBus({ address: some })).toBeUndefined();
  expect(() => openBus({ address: "tcp:host=localhost" })).toThrow(/^Cannot connect to the system bus: EAFNOSUPPORT, "tcp:host=localhost" \(an address like unix:path=/);
  expect(() => openBus({ address: `unix:path=/${"x".repeat(108)}` })).toThrow("up to 107 bytes are wanted");
});

test("a bus that is silent is given up, one that hangs up or refuses says so", async () => {
  const silent = await startServer("silent", "");
  expect(() => openBus({ address: silent, timeoutMs: 50 })).toThrow("ETIMEDOUT, no answer within 50 ms");
  const gone = await startServer("gone", "socket.end()");
  expect(() => openBus({ address: gone })).toThrow("ECONNRESET");
  const rude = await startServer("rude", 'socket.write("REJECTED ANONYMOUS\\r\\n")');
  expect(() => openBus({ address: rude })).toThrow('EACCES, it says "REJECTED ANONYMOUS" ("DATA" is wanted)');
  const junk = await startServer("junk", 'socket.write("DATA\\r\\nOK 00\\r\\n" + "junk".repeat(9))');
  expect(() => openBus({ address: junk })).toThrow(RangeError);
});
