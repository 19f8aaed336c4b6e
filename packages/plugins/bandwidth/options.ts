/**
 * bandwidth's options, each with its sentence, and which of them count: the network's own limits, or those that the runtime
 * has from the pod.
 */
import { CniError, ErrorCode, cidr, config, integer, list, object, type ConfigOf } from "@vethwork/cni";
import { parseCidr, type Cidr } from "@vethwork/linux";

const bits = integer({ min: 0 });
const subnets = list(cidr);

const limits = {
  ingressRate: [bits, undefined, "Bits a second towards the pod, headers and all; 0 is no limit."],
  ingressBurst: [bits, undefined, "Bits that may come at once after a pause, before the rate counts; up to 4 GB."],
  egressRate: [bits, undefined, "Bits a second from the pod; 0 is no limit."],
  egressBurst: [bits, undefined, "Bits that may leave at once after a pause."],
  unshapedSubnets: [subnets, undefined, "What the pod sends to these, or gets from them, is not limited."],
  shapedSubnets: [subnets, undefined, "Only what the pod sends to these, or gets from them, is limited."],
} as const;

export const options = config({
  ...limits,
  runtimeConfig: [object({
    bandwidth: [object(limits), undefined, "The pod's own limits. They count where the network has none."],
  }), {}, "What the runtime supplies for declared capabilities: `bandwidth`."],
});
export type Config = ConfigOf<typeof options>;

const RATES = ["ingressRate", "ingressBurst", "egressRate", "egressBurst"] as const;

/** What may pass in one direction: bits a second, and bits at once. */
export interface Limit {
  rate: number;
  burst: number;
}

/** Of the hosts that a pod speaks with, those to which the limits apply: all but some, or some alone. */
export interface Scope {
  only: boolean;
  subnets: readonly Cidr[];
}

export interface Limits {
  /** Towards the pod. */
  ingress: Limit | undefined;
  /** From the pod. */
  egress: Limit | undefined;
  /** Undefined: whoever it is. */
  scope: Scope | undefined;
}

/** The options, as the network has them and as the runtime has them. */
type Said = Partial<Pick<Config, keyof typeof limits>>;

/**
 * What counts. A limit of the network's, even of 0, takes all of the runtime's out of force. Subnets come from where the limits
 * do, or from the network, since runtimes have none to give. Throws CniError 7, in the reference's words where it has some.
 */
export function limitsOf({ runtimeConfig: { bandwidth }, ...network }: Said & Pick<Config, "runtimeConfig">): Limits {
  const pods: Said = bandwidth ?? {};
  const isNetworks = RATES.some((key) => network[key] !== undefined);
  const from = isNetworks ? network : pods;
  const lists = from.shapedSubnets ?? from.unshapedSubnets ? from : network;
  return {
    ingress: limitOf("ingress", from.ingressRate, from.ingressBurst),
    egress: limitOf("egress", from.egressRate, from.egressBurst),
    scope: scopeOf(lists.shapedSubnets ?? [], lists.unshapedSubnets ?? []),
  };
}

function limitOf(direction: "ingress" | "egress", rate = 0, burst = 0): Limit | undefined {
  const said = `${direction}Rate is ${rate}, ${direction}Burst ${burst}`;
  if (rate !== 0 && burst === 0) throw invalid(`if rate is set, burst must also be set (${said})`);
  if (rate === 0 && burst !== 0) throw invalid(`if burst is set, rate must also be set (${said})`);
  if (Math.floor(burst / 8) >= 2 ** 32 - 1) throw invalid(`burst cannot be more than 4GB (${said})`);
  if (rate > 0 && rate < 8) throw invalid(`a rate cannot be less than 8 bits a second (${said})`);
  return rate === 0 ? undefined : { rate, burst };
}

function scopeOf(shaped: readonly string[], unshaped: readonly string[]): Scope | undefined {
  if (shaped.length > 0 && unshaped.length > 0) throw invalid("unshapedSubnets and shapedSubnets cannot be both specified, one of them should be discarded");
  const only = shaped.length > 0;
  const subnets = (only ? shaped : unshaped).map((text) => parseCidr(text));
  return subnets.length > 0 ? { only, subnets } : undefined;
}

const invalid = (message: string): CniError => new CniError(ErrorCode.INVALID_CONFIG, message);
