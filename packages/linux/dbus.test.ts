/** The system bus, as dbus-daemon serves it; and what comes of a bus that is silent, rude, or none. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../../tests/conformance/node/until.ts";
import { missing, skipped } from "../../tests/conformance/node/needs.ts";
import { BusError, findBus, openBus } from "./dbus.ts";
import { answering } from "./testing/answering.ts";
import { errnoOf } from "./testing/room.ts";

const lacks = missing({ programs: ["dbus-daemon"] });
const folder = mkdtempSync(join(tmpdir(), "vethwork-bus-"));
const address = `unix:path=${folder}/bus`;
const policy = '<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy>';
const bus = { destination: "org.freedesktop.DBus", path: "/org/freedesktop/DBus", interface: "org.freedesktop.DBus" } as const;
let daemon: Bun.Subprocess | undefined;

beforeAll(async () => {
  if (lacks !== "") return;
  await Bun.write(join(folder, "bus.conf"), `<busconfig><type>system</type><listen>${address}</listen><auth>EXTERNAL</auth>${policy}</busconfig>`);
  daemon = Bun.spawn(["dbus-daemon", `--config-file=${folder}/bus.conf`, "--nofork", "--nopidfile"], { stderr: "ignore" });
  await until(() => {
    using found = findBus({ address });
    return found !== undefined;
  });
});
afterAll(async () => {
  daemon?.kill();
  await daemon?.exited;
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

busTest("the first of several addresses that listens is taken; a path may be escaped", () => {
  using one = openBus({ address: `tcp:host=localhost;unix:path=${folder}/none;${address.replace("vethwork", "%76eth%77ork")},guid=00` });
  expect(one.hasOwner("org.freedesktop.DBus")).toBe(true);
});

busTest("where nobody listens there is no bus", () => {
  for (const some of [`unix:path=${folder}/none`, `unix:path=${folder}/bus.conf/x`, `unix:path=${folder}/bus.conf`]) expect(findBus({ address: some })).toBeUndefined();
  expect(() => openBus({ address: "tcp:host=localhost" })).toThrow(/^Cannot connect to the system bus: EAFNOSUPPORT, "tcp:host=localhost" \(an address like unix:path=/);
  expect(() => openBus({ address: `unix:path=/${"x".repeat(108)}` })).toThrow("at most 107 are wanted");
});

test("a bus that is silent is given up, one that hangs up or refuses says so", async () => {
  const opening = (path: string, timeoutMs = 20_000) => (): unknown => openBus({ address: `unix:path=${path}`, timeoutMs });
  await answering("0", (path) => expect(opening(path, 50)).toThrow("ETIMEDOUT, no answer within 50 ms"));
  await answering("c.end()", (path) => expect(opening(path)).toThrow("ECONNRESET"));
  await answering('c.write("REJECTED ANONYMOUS\\r\\n")', (path) => expect(opening(path)).toThrow('EACCES, it says "REJECTED ANONYMOUS" ("DATA" is wanted)'));
  await answering('c.write("DATA\\r\\nOK 00\\r\\n" + "junk".repeat(9))', (path) => expect(opening(path)).toThrow(RangeError));
});
