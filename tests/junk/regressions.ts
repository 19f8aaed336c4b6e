/** Inputs that a decoder once took badly: each is played at every run. */
interface Regression {
  /** As in the table of decoders. */
  decoder: string;
  input: Uint8Array;
}

const text = (decoder: string, input: string): Regression => ({ decoder, input: new TextEncoder().encode(input) });

/** A reply with an option of 50 KB, and six thousand empty pieces of the same option behind it. */
function manyPieces(): Uint8Array {
  const head = new Uint8Array(240);
  head.set([2, 1, 6]);
  head.set([0x63, 0x82, 0x53, 0x63], 236);
  const full = Uint8Array.of(43, 255, ...new Uint8Array(255));
  return new Uint8Array(Buffer.concat([head, ...Array.from({ length: 200 }, () => full), Buffer.alloc(12_000, Uint8Array.of(43, 0))]));
}

export const regressions: readonly Regression[] = [
  text("tuning: what was before", '{"mac":"not a MAC address","mtu":1500}'), // DEL failed for ever
  text("cni: cache of results", '{"kind":"cniCacheV1","result":{'), // half a file: no CniError
  text("dhcp: question to the daemon", '{"do":"add"'), // answered as an error of the daemon's own
  text("agent: kubeconfig", "contexts:\n- null\n"), // "null is not an object"
  text("agent: kubeconfig", "clusters: [{name: k, cluster: {server: 7}}]"),
  text("agent: kubeconfig", 'users: ["\n'), // YAML's own error
  { decoder: "dhcp: message", input: manyPieces() }, // an option in thousands of pieces took seconds
];
