/**
 * Results at the border: reading and writing the three forms that the specification's versions use (version.ts has their history).
 *
 * Inside there is only the form of 1.1.0, so converting is reading one form and writing another. Downwards some of it is lost:
 * 0.4.0 knows no MTU of an interface, and 0.2.0 has room for one IPv4 and one IPv6 address and for no interface at all.
 * What each version prints, and in which order, is what Go's library prints: runtimes and tests compare the bytes.
 */
import { parseCidr } from "./address.ts";
import { object, required } from "./config.ts";
import { CniError, ErrorCode } from "./errors.ts";
import { encode, encodeSorted, find, isObject, kindOf, type JsonObject } from "./json.ts";
import { cidr, integer, ip, list, string, stringList, type Parser } from "./parsers.ts";
import type { Dns, Interface, IpConfig, Result, Route } from "./result.ts";
import { formOf, versionsOf, type Form } from "./version.ts";

/** The version that a result's JSON names; "" when it names none. */
export function versionOfResult(json: JsonObject): string {
  const version = find(json, "cniVersion");
  return typeof version === "string" ? version : "";
}

/**
 * Reads a result. `version` says which form to expect: a result that names a version of another form is refused, one that names none
 * is taken for it. Without `version` the result's own counts, and none means 0.1.0.
 * Throws CniError 6. Specification: "Result Types".
 */
export function parseResult(json: unknown, version?: string): Result {
  if (!isObject(json)) throw new CniError(ErrorCode.DECODING_FAILURE, `invalid result: ${kindOf(json)} (an object is wanted)`);
  const own = versionOfResult(json);
  const form = knownForm(version ?? own);
  if (own !== "" && formOf(own) !== form) {
    const wanted = versionsOf[form].join(" ");
    throw new CniError(ErrorCode.DECODING_FAILURE, `result type supports [${wanted}] but unmarshalled CNIVersion is ${JSON.stringify(own)}`);
  }
  try {
    return form === "first" ? fromFirst(json) : fromLists(json);
  } catch (error) {
    if (!(error instanceof CniError)) throw error;
    throw new CniError(ErrorCode.DECODING_FAILURE, error.message.replace(/^(invalid|missing) option/, "$1 result field"), { cause: error });
  }
}

/**
 * A result as the object that a version prints, keys in its order. "" prints as 0.1.0.
 * Throws CniError 1 for a version that there is not, 999 for a result that the version cannot express or with a malformed address.
 */
export function formatResult(result: Result, version: string): JsonObject {
  const form = formOf(version);
  if (!form) throw new CniError(ErrorCode.INCOMPATIBLE_VERSION, `no converter for CNI result version 1.1.0 to ${version}`);
  const body = { first: toFirst, second: toSecond, third: toThird }[form](result);
  return { cniVersion: version || "0.1.0", ...body };
}

/** The text of a result, byte for byte as Go's library prints it: four spaces, no final line end. Throws as formatResult. */
export function printResult(result: Result, version: string): string {
  return printObject(formatResult(result, version));
}

/** The text of what formatResult gave. */
export function printObject(object: JsonObject): string {
  return formOf(versionOfResult(object)) === "third" ? encodeSorted(object, 4) : encode(object, 4);
}

/** A result's JSON in another version. Throws as parseResult and formatResult. */
export function convertResult(json: unknown, to: string): JsonObject {
  return formatResult(parseResult(json), to);
}

function knownForm(version: string): Form {
  const form = formOf(version);
  if (form) return form;
  throw new CniError(ErrorCode.DECODING_FAILURE, `unsupported CNI result version ${JSON.stringify(version)}`);
}

/** The family that an address or a route's destination belongs to. */
function familyOf(text: string): 4 | 6 {
  const address = parseCidr(text);
  if (address) return address.family;
  throw new CniError(ErrorCode.INTERNAL, `invalid address in result: ${JSON.stringify(text)} (an address with a prefix length is wanted)`);
}

// ── reading ──

function fromLists(json: JsonObject): Result {
  return withoutEmpty(readers().lists.parse(json, ""));
}

function fromFirst(json: JsonObject): Result {
  const { ip4, ip6, dns } = readers().first.parse(json, "");
  const both = [ip4, ip6].filter((one) => one !== undefined);
  return withoutEmpty({ ips: both.map(({ ip: address, gateway }) => ({ address, gateway })), routes: both.flatMap(({ routes }) => routes), dns });
}

/**
 * What a reader of the printed form has: of the newest form the result itself, of an older one what there is room for. So a caller in
 * the same process sees what one in another process sees, without printing and reading.
 */
export function readBack(result: Result, printed: JsonObject): Result {
  return formOf(versionOfResult(printed)) === "third" ? withoutEmpty(result) : parseResult(printed);
}

/** A value in which what may be absent may be undefined as well. */
type Loose<T> = { [K in keyof T]: T[K] | (object extends Pick<T, K> ? undefined : never) };

interface LooseResult {
  interfaces?: readonly Loose<Interface>[];
  ips?: readonly Loose<IpConfig>[];
  routes?: readonly Loose<Route>[];
  dns?: Loose<Dns>;
}

/** A copy without lists that are empty, and without what is empty in their items. */
function withoutEmpty({ interfaces = [], ips = [], routes = [], dns = {} }: LooseResult): Result {
  const names = fullDns(dns);
  return {
    ...(interfaces.length > 0 && { interfaces: interfaces.map(fullInterface) }),
    ...(ips.length > 0 && { ips: ips.map(fullIp) }),
    ...(routes.length > 0 && { routes: routes.map(fullRoute) }),
    ...(Object.keys(names).length > 0 && { dns: names }),
  };
}

const fullInterface = ({ name, mac, mtu, sandbox, socketPath, pciID }: Loose<Interface>): Interface => ({
  name, ...(mac && { mac }), ...(mtu && { mtu }), ...(sandbox && { sandbox }), ...(socketPath && { socketPath }), ...(pciID && { pciID }),
});

const fullIp = ({ address, gateway, interface: at }: Loose<IpConfig>): IpConfig => ({
  address, ...(gateway && { gateway }), ...(at !== undefined && { interface: at }),
});

const fullRoute = ({ dst, gw, mtu, advmss, priority, table, scope }: Loose<Route>): Route => ({
  dst, ...(gw && { gw }), ...(mtu && { mtu }), ...(advmss && { advmss }), ...(priority && { priority }),
  ...(table !== undefined && { table }), ...(scope !== undefined && { scope }),
});

const fullDns = ({ nameservers = [], domain, search = [], options = [] }: Loose<Dns>): Dns => ({
  ...(nameservers.length > 0 && { nameservers }), ...(domain && { domain }),
  ...(search.length > 0 && { search }), ...(options.length > 0 && { options }),
});

/** Declared as a plugin's options are, which brings the case of keys, null and the error messages with it. Made when first needed. */
function tables() {
  const dnsFields = object({
    nameservers: [stringList, [], ""], domain: [string, "", ""], search: [stringList, [], ""], options: [stringList, [], ""],
  });
  const noDns = { nameservers: [], domain: "", search: [], options: [] };
  const routes: Parser<Loose<Route>[]> = list(object({
    dst: [cidr, required, ""], gw: [ip, undefined, ""], mtu: [integer, 0, ""], advmss: [integer, 0, ""], priority: [integer, 0, ""],
    table: [integer, undefined, ""], scope: [integer, undefined, ""],
  }));
  const interfaces = list(object({
    name: [string, "", ""], mac: [string, "", ""], mtu: [integer, 0, ""], sandbox: [string, "", ""],
    socketPath: [string, "", ""], pciID: [string, "", ""],
  }));
  const ips = list(object({ address: [cidr, required, ""], gateway: [ip, undefined, ""], interface: [integer, undefined, ""] }));
  const family = object({ ip: [cidr, required, ""], gateway: [ip, undefined, ""], routes: [routes, [], ""] });
  return {
    lists: object({ interfaces: [interfaces, [], ""], ips: [ips, [], ""], routes: [routes, [], ""], dns: [dnsFields, noDns, ""] }),
    first: object({ ip4: [family, undefined, ""], ip6: [family, undefined, ""], dns: [dnsFields, noDns, ""] }),
  };
}

let made: ReturnType<typeof tables> | undefined;
function readers(): ReturnType<typeof tables> {
  return made ??= tables();
}

// ── writing ──

function toThird({ interfaces = [], ips = [], routes = [], dns: names }: Result): JsonObject {
  const printedDns = dnsObject(names);
  for (const { address } of ips) familyOf(address);
  return {
    ...(interfaces.length > 0 && { interfaces: interfaces.map((one) => interfaceObject(one, true)) }),
    ...(ips.length > 0 && { ips: ips.map(({ address, gateway, interface: at }) => ({ address, gateway: gateway || undefined, interface: at })) }),
    ...(routes.length > 0 && { routes: routes.map(routeObject) }),
    ...(Object.values(printedDns).some((value) => value !== undefined) && { dns: printedDns }),
  };
}

function toSecond({ interfaces = [], ips = [], routes = [], dns: names }: Result): JsonObject {
  return {
    ...(interfaces.length > 0 && { interfaces: interfaces.map((one) => interfaceObject(one, false)) }),
    ...(ips.length > 0 && {
      ips: ips.map(({ address, gateway, interface: at }) =>
        ({ version: String(familyOf(address)), interface: at, address, gateway: gateway || undefined })),
    }),
    ...(routes.length > 0 && { routes: routes.map(routeObject) }),
    dns: dnsObject(names),
  };
}

function toFirst({ ips = [], routes = [], dns: names }: Result): JsonObject {
  const section = (family: 4 | 6): JsonObject | undefined => {
    const first = ips.find(({ address }) => familyOf(address) === family);
    if (!first) return undefined;
    const own = routes.filter(({ dst }) => familyOf(dst) === family).map(({ dst, gw }) => ({ dst, gw: gw || undefined }));
    return { ip: first.address, gateway: first.gateway || undefined, ...(own.length > 0 && { routes: own }) };
  };
  const [ip4, ip6] = [section(4), section(6)];
  if (!ip4 && !ip6) throw new CniError(ErrorCode.INTERNAL, "cannot convert: no valid IP addresses");
  return { ...(ip4 && { ip4 }), ...(ip6 && { ip6 }), dns: dnsObject(names) };
}

function interfaceObject({ name, mac, mtu, sandbox, socketPath, pciID }: Interface, third: boolean): JsonObject {
  const more = third ? { mtu: mtu || undefined, socketPath: socketPath || undefined, pciID: pciID || undefined } : {};
  return { name, mac: mac || undefined, sandbox: sandbox || undefined, ...more };
}

function routeObject({ dst, gw, mtu, advmss, priority, table, scope }: Route): JsonObject {
  familyOf(dst);
  return { dst, gw: gw || undefined, mtu: mtu || undefined, advmss: advmss || undefined, priority: priority || undefined, table, scope };
}

function dnsObject({ nameservers, domain, search, options }: Dns = {}): JsonObject {
  return { nameservers: full(nameservers), domain: domain || undefined, search: full(search), options: full(options) };
}

function full(items?: string[]): string[] | undefined {
  return items && items.length > 0 ? items : undefined;
}
