/**
 * The firewall by firewalld: a pod's addresses are sources of a zone, `trusted` say, which accepts what comes from them.
 *
 *     addSource("trusted", "10.1.2.2/32")          over the system bus, to the daemon that has the rules
 *
 * Answers to pods pass by firewalld's own rule for them. What is added so is forgotten when firewalld reloads or restarts:
 * CHECK notices. As the reference plugin does it, so that either takes away what the other made.
 */
import { CniError, ErrorCode } from "@vethwork/cni";
import { BusError, findBus, ignore, isErrno, type BusValue, type Ip } from "@vethwork/linux";
import type { Made } from "./record.ts";

const NAME = "org.fedoraproject.FirewallD1";
const ZONES = { destination: NAME, path: "/org/fedoraproject/FirewallD1", interface: `${NAME}.zone` } as const;

/** True where firewalld runs, and so what it does not accept is rejected. Who cannot be asked cannot be used, either. */
export function isRunning(): boolean {
  try {
    return withFirewalld(() => true) ?? false;
  } catch (error) {
    if (error instanceof CniError) throw error;
    ignore(error, "a bus that does not let us in is none for us");
    return false;
  }
}

/** Makes the addresses sources of the zone. */
export function ensureSources({ addresses, place: zone }: Made): void {
  const done = withFirewalld((ask) => {
    for (const source of addresses.map(sourceOf)) addSource(ask, zone, source);
    return true;
  });
  if (!done) throw new CniError(ErrorCode.PLUGIN_NOT_AVAILABLE, `Cannot add addresses to zone "${zone}": firewalld does not run (or "backend": "nftables" is wanted)`);
}

function addSource(ask: Ask, zone: string, source: string): void {
  try {
    ask("addSource", zone, source);
  } catch (error) {
    const code = codeOf(error);
    if (code === "ZONE_ALREADY_SET") return;
    if (code === "INVALID_ZONE") throw new CniError(ErrorCode.INVALID_CONFIG, `invalid option "firewalldZone": "${zone}" (a zone of firewalld's is wanted)`, { cause: error });
    if (!(error instanceof BusError)) throw error;
    throw new CniError(ErrorCode.INTERNAL, `Cannot add ${source} to zone "${zone}" of firewalld: ${error.words}`, { cause: error });
  }
}

/** Takes the addresses out of the zone. Where firewalld does not run they are in none. */
export function deleteSources({ addresses, place: zone }: Pick<Made, "addresses" | "place">): void {
  withFirewalld((ask) => {
    for (const source of addresses.map(sourceOf)) {
      try {
        ask("removeSource", zone, source);
      } catch (error) {
        if (codeOf(error) === undefined) throw error;
        ignore(error, "an address that is in no zone, or in another, is none of ours any more");
      }
    }
  });
}

/** What is missing, in words. */
export function sourceFaults({ addresses, place: zone }: Made): string[] {
  const lost = withFirewalld((ask) => addresses.map(sourceOf).filter((source) => ask("querySource", zone, source)[0] !== true));
  return lost?.map((source) => `${source} is no source of zone "${zone}" of firewalld`) ?? ["firewalld does not run any more"];
}

/** STATUS: CniError 50 where firewalld cannot be asked. */
export function statusOfFirewalld(): void {
  if (!isRunning()) throw new CniError(ErrorCode.PLUGIN_NOT_AVAILABLE, "firewalld does not run");
}

const sourceOf = (ip: Ip): string => `${ip}/${ip.family === 4 ? 32 : 128}`;

type Ask = (member: string, ...args: readonly string[]) => readonly BusValue[];

/** Works with firewalld's zones; undefined where it does not run. That it does not answer says nothing: CniError 11. */
function withFirewalld<T>(work: (ask: Ask) => T): T | undefined {
  try {
    using bus = findBus();
    return bus?.hasOwner(NAME) ? work((member, ...args) => bus.call({ ...ZONES, member, args })) : undefined;
  } catch (error) {
    if (!isErrno(error, "ETIMEDOUT", "ECONNRESET")) throw error;
    throw new CniError(ErrorCode.TRY_AGAIN, "firewalld does not answer", { cause: error });
  }
}

/** firewalld's exceptions all have one name; which it is stands before the colon, as in "ZONE_CONFLICT: …". */
const codeOf = (error: unknown): string | undefined =>
  error instanceof BusError && error.errorName === `${NAME}.Exception` ? error.words.split(":")[0] : undefined;
