/** What an attachment asks for, before anything is touched: its ports, whose they are, and in whose rules they go. */
import type { Args, Context, Result } from "@vethwork/cni";
import type { Cidr, Family } from "@vethwork/linux";
import { ownerOf, type Owner } from "../shared/attachment.ts";
import { conditionsOf } from "./conditions.ts";
import { suffixOf, type Scope } from "./frame.ts";
import { mappingsOf, podAddresses, type Mapping } from "./mappings.ts";
import { USUAL_BIT, backendOf, type Backend, type Config, type PortMapping } from "./options.ts";

export interface Plan {
  owner: Owner;
  args: Args;
  backend: Backend;
  /** The pod's, one of each family at most. */
  addresses: readonly Cidr[];
  mappings: readonly Mapping[];
  /** As the runtime asked for them. */
  ports: readonly PortMapping[];
  snat: boolean;
  masqAll: boolean;
  scope: Scope;
  /** iptables: conditions as they came, by family. */
  conditions: Readonly<Record<Family, readonly string[]>>;
  /** iptables: another's chain that marks packets for its own masquerade. */
  setMarkChain: string | undefined;
}

/** CniError 7 where the options do not go together, or a port is to lead to two places. */
export function planOf({ config, args }: Pick<Context<Config>, "config" | "args">, result: Result): Plan {
  const { snat, masqAll, externalSetMarkChain, conditionsV4, conditionsV6, runtimeConfig: { portMappings } } = config;
  const addresses = podAddresses(args, result);
  const backend = backendOf(config);
  return {
    owner: ownerOf(config, args), args, backend, addresses, mappings: mappingsOf(portMappings, addresses), ports: portMappings, snat, masqAll,
    scope: scopeOf(config), conditions: { 4: conditionsV4, 6: conditionsV6 }, setMarkChain: externalSetMarkChain,
  };
}

/** A network with conditions of nftables', or with a mark of its own, has rules of its own. */
export function scopeOf(config: Config): Scope {
  const { name, conditionsV4, conditionsV6, markMasqBit: markBit = USUAL_BIT } = config;
  if (backendOf(config) === "iptables") return { suffix: "", conditions: { 4: [[]], 6: [[]] }, markBit };
  const conditions = { 4: conditionsOf("conditionsV4", 4, conditionsV4), 6: conditionsOf("conditionsV6", 6, conditionsV6) };
  const isUsual = markBit === USUAL_BIT && [...conditions[4], ...conditions[6]].every((one) => one.length === 0);
  return { suffix: isUsual ? "" : suffixOf(name), conditions, markBit };
}
