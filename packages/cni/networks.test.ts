/** Networks from text: what makes one, which version is spoken, and the words of each refusal. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { CniError, injected, networkConfFromBytes, networkListFromPlugin, networkPluginConfFromBytes } from "./index.ts";

const plugins = [{ type: "bridge" }];
const list = (object: unknown) => networkConfFromBytes(JSON.stringify(object));

function refusal(object: unknown): string {
  try {
    list(object);
  } catch (error) {
    assert.ok(error instanceof CniError);
    return error.message.replace("error parsing configuration list: ", "");
  }
  return "accepted";
}

test("a list has a name, a version, and its plugins in order", () => {
  const source = '{"cniVersion":"1.0.0","name":"pods","disableCheck":"True","plugins":[{"type":"bridge","capabilities":{"mac":true,"ips":false}},{"TYPE":"tuning"}]}';
  const network = networkConfFromBytes(new TextEncoder().encode(source));
  assert.deepEqual(
    [network.name, network.cniVersion, network.disableCheck, network.disableGC, network.loadOnlyInlinedPlugins, network.source],
    ["pods", "1.0.0", true, false, false, source]);
  assert.deepEqual(network.plugins.map(({ type, capabilities }) => [type, capabilities]), [["bridge", { mac: true, ips: false }], ["tuning", {}]]);
});

test("each way to write a list wrongly has its own words", () => {
  assert.equal(refusal([]), "it is a list (an object is wanted)");
  assert.equal(refusal({}), "no name");
  assert.equal(refusal({ NAME: "pods" }), "no name"); // the list's own keys are case-sensitive
  assert.equal(refusal({ name: 5 }), "invalid name type float64");
  assert.equal(refusal({ name: "n", cniVersion: true }), "invalid cniVersion type bool");
  assert.equal(refusal({ name: "n", cniVersions: "1.0.0" }), "invalid type for cniVersions: []interface {}");
  assert.equal(refusal({ name: "n", cniVersions: ["1.0.0", {}] }), "invalid type for cniVersions index 1: map[string]interface {}");
  assert.equal(refusal({ name: "n", cniVersions: ["x"] }), 'invalid cniVersions entry x at index 0: failed to convert major version part "x": not a number');
  assert.equal(refusal({ name: "n", cniVersion: "1.2.3.4", cniVersions: [] }), 'invalid cniVersion 1.2.3.4: invalid version "1.2.3.4": too many parts');
  assert.equal(refusal({ name: "n", disableGC: 1 }), "invalid type float64 for disableGC");
  assert.equal(refusal({ name: "n", disableCheck: "Yes" }), 'invalid value "yes" for disableCheck');
  assert.equal(refusal({ name: "n", loadOnlyInlinedPlugins: true }), "`loadOnlyInlinedPlugins` is true, and no 'plugins' key");
  assert.equal(refusal({ name: "n", plugins: null }), "invalid 'plugins' type <nil>");
  assert.equal(refusal({ name: "n", plugins: [] }), "no plugins in list");
  assert.equal(refusal({ name: "n", plugins: [plugins[0], { name: "x" }] }), "failed to parse plugin config 1: error parsing configuration: missing 'type'");
  assert.equal(refusal({ name: "n" }), "accepted"); // the plugins may lie in the drop-in folder
});

test("spec(CFG-2): of cniVersion and cniVersions the newest known version is spoken", () => {
  const spoken = (versions: object) => list({ name: "n", plugins, ...versions }).cniVersion;
  assert.equal(spoken({ cniVersion: "0.4.0", cniVersions: ["0.3.1", "1.0.0", "0.4.0"] }), "1.0.0");
  assert.equal(spoken({ cniVersion: "1.1.0", cniVersions: ["0.3.1"] }), "1.1.0");
  assert.equal(spoken({ cniVersions: ["9.9.9", "0.4.0"] }), "0.4.0");
  assert.equal(spoken({ cniVersion: "9.9.9", cniVersions: ["9.9.8"] }), "9.9.9");
  assert.equal(spoken({ cniVersion: "9.9.9" }), "9.9.9");
  assert.equal(spoken({}), "");
});

test("a plugin that stands alone is a chain of one, its unknown options untouched", () => {
  const plugin = networkPluginConfFromBytes('{"name":"old","cniVersion":"0.3.1","type":"ptp","own":{"Deep":[1]}}');
  const network = networkListFromPlugin(plugin);
  assert.deepEqual([network.name, network.cniVersion, network.plugins[0]?.object], ["old", "0.3.1", plugin.object]);
  assert.throws(() => networkPluginConfFromBytes('{"name":"x"}'), { code: 7, message: "error parsing configuration: missing 'type'" });
  assert.throws(() => networkPluginConfFromBytes('{"type":"x","capabilities":{"mac":1}}'), { code: 7 });
});

test("keys are set in a plugin's object, and the rest of it stays", () => {
  const plugin = networkPluginConfFromBytes('{"type":"ptp","name":"a","z":1}');
  assert.deepEqual(injected(plugin, { name: "b" }).object, { type: "ptp", name: "b", z: 1 });
  assert.throws(() => injected(plugin, { "": 1 }), /keys cannot be empty/);
  assert.throws(() => injected(plugin, { key: undefined }), /key 'key' value must not be nil/);
});

test("any text at all is a network or a CNI error", () => {
  const near = fc.record({
    name: fc.oneof(fc.string(), fc.jsonValue()), cniVersion: fc.oneof(fc.constant("1.0.0"), fc.jsonValue()),
    cniVersions: fc.oneof(fc.array(fc.string()), fc.jsonValue()), disableGC: fc.jsonValue(),
    plugins: fc.oneof(fc.array(fc.record({ type: fc.string(), capabilities: fc.jsonValue() }, { requiredKeys: [] })), fc.jsonValue()),
  }, { requiredKeys: [] });
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json(), near.map((value) => JSON.stringify(value))), (text) => {
    try {
      networkConfFromBytes(text);
    } catch (error) {
      assert.ok(error instanceof CniError);
    }
  }), { numRuns: 500 });
});
