/**
 * CNI_ARGS: what a runtime asks for beside the configuration, as "K=V;K2=V2". Superseded by `args` and `runtimeConfig`
 * and still in use: podman hands a fixed address over in it, containerd the pod's name.
 *
 * As strict as Go's library: a key that the plugin does not know is refused, unless IgnoreUnknown says otherwise.
 */
import { CniError, ErrorCode, type Args } from "@vethwork/cni";

/** The values of the keys that a plugin knows; CniError 4 for what does not read. Of one given twice the last counts. */
export function argumentsOf<K extends string>({ cniArgs }: Pick<Args, "cniArgs">, known: readonly K[]): { [key in K]?: string } {
  const found: { [key in K]?: string } = {};
  const unknown: string[] = [];
  let ignoresUnknown = false;
  for (const pair of cniArgs === "" ? [] : cniArgs.split(";")) {
    const [key = "", value, ...more] = pair.split("=");
    if (value === undefined || more.length > 0) throw refused(`invalid pair ${JSON.stringify(pair)}`);
    const name = known.find((one) => one === key);
    if (name !== undefined) found[name] = value;
    else if (key === "IgnoreUnknown") ignoresUnknown = truthOf(pair, value);
    else unknown.push(pair);
  }
  if (unknown.length === 0 || ignoresUnknown) return found;
  throw refused(`unknown args [${unknown.map((pair) => JSON.stringify(pair)).join(" ")}]`);
}

function truthOf(pair: string, value: string): boolean {
  if (/^(?:1|true)$/i.test(value)) return true;
  if (/^(?:0|false)$/i.test(value)) return false;
  throw refused(`error parsing value of pair ${JSON.stringify(pair)}: boolean unmarshal error: invalid input ${value}`);
}

const refused = (what: string): CniError => new CniError(ErrorCode.INVALID_ENVIRONMENT, `ARGS: ${what}`);
