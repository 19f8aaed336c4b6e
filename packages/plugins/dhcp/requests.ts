/** What a client says: the four messages of RFC 2131 section 4.4 that this one sends, and to whom. */
import { BROADCAST, EVERYBODY, NOBODY, parseCidr, parseIp, parseMac, type Ip, type Mac } from "@vethwork/linux";
import type { Lease, Wish } from "./lease.ts";
import type { Message } from "./message.ts";
import { OPTION, TYPE, entry } from "./values.ts";

export const CLIENT_PORT = 68;
export const SERVER_PORT = 67;

/** Who speaks. */
export interface Client {
  wish: Pick<Wish, "tell" | "ask">;
  /** The interface's, as it is now: a plugin of the chain may change it. */
  readonly mac: Mac;
  /** Have answers sent to everybody, where a server could not reach an interface that has no address yet. */
  broadcast: boolean;
}

/** Where a message goes, and from which address. */
export interface Destination {
  mac: Mac;
  ip: Ip;
  from: Ip;
}

/** Everybody on the link: from nobody's address, or from one's own. */
export const toEverybody = (from: Ip = NOBODY): Destination => ({ mac: BROADCAST, ip: EVERYBODY, from });

/** The server that granted a lease. */
export const toServer = ({ address, server, serverMac }: Pick<Lease, "address" | "server" | "serverMac">): Destination =>
  ({ mac: parseMac(serverMac), ip: parseIp(server), from: parseCidr(address).ip });

/** A number for a conversation, by chance: answers to others are told apart by it. */
export const newXid = (): number => crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;

interface Round {
  xid: number;
  /** Since the client began. */
  elapsedMs: number;
}

/** Who gives me an address? With `wanted`, preferably that one. */
export const discover = (client: Client, round: Round, wanted?: Ip): Message =>
  asking(client, round, [entry(OPTION.MESSAGE_TYPE, TYPE.DISCOVER), ...(wanted ? [entry(OPTION.REQUESTED_ADDRESS, wanted)] : [])]);

/** I take what that server offers; the others may forget theirs. */
export const select = (client: Client, round: Round, { address, server }: { address: Ip; server: Ip }): Message =>
  asking(client, round, [entry(OPTION.MESSAGE_TYPE, TYPE.REQUEST), entry(OPTION.REQUESTED_ADDRESS, address), entry(OPTION.SERVER, server)]);

/** May I keep the address that I have? */
export const extend = (client: Client, round: Round, address: Ip): Message =>
  ({ ...asking({ ...client, broadcast: false }, round, [entry(OPTION.MESSAGE_TYPE, TYPE.REQUEST)]), ciaddr: address });

/** I need it no more. */
export function release({ wish: { tell }, mac }: Pick<Client, "wish" | "mac">, { address, server }: { address: Ip; server: Ip }): Message {
  const identity = toldIn(tell).filter(([code]) => code === OPTION.CLIENT[0]);
  return { ...blank(mac), xid: newXid(), ciaddr: address, options: new Map([entry(OPTION.MESSAGE_TYPE, TYPE.RELEASE), ...identity, entry(OPTION.SERVER, server)]) };
}

/** As the reference says it, too: the largest message that we take. */
const LARGEST = 1500;

/** What the configuration provides stands before what the conversation needs: the latter cannot be changed. */
function asking({ wish: { tell, ask }, mac, broadcast }: Client, { xid, elapsedMs }: Round, own: [number, Uint8Array][]): Message {
  const wanted = ask.length > 0 ? [entry(OPTION.ASK, ask)] : [];
  const options = new Map([...own.slice(0, 1), entry(OPTION.LARGEST_MESSAGE, LARGEST), ...toldIn(tell), ...wanted, ...own]);
  return { ...blank(mac), xid, secs: Math.floor(elapsedMs / 1000), broadcast, options };
}

const blank = (chaddr: Mac): Omit<Message, "xid" | "options"> =>
  ({ op: "request", secs: 0, broadcast: false, ciaddr: NOBODY, yiaddr: NOBODY, siaddr: NOBODY, giaddr: NOBODY, chaddr });

/** A wish's options: in JSON, bytes are written as hexadecimal digits. */
export const toldIn = (tell: Readonly<Record<string, string>>): [number, Uint8Array][] =>
  Object.entries(tell).map(([code, digits]) => [Number(code), Uint8Array.fromHex(digits)]);
export const tellOf = (told: ReadonlyMap<number, Uint8Array>): Record<string, string> =>
  Object.fromEntries([...told].map(([code, bytes]) => [code, bytes.toHex()]));
