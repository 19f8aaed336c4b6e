/**
 * Encryption: this node's key, and those of the others.
 *
 *     <state folder>/wireguard.key   made once, on this node, for root alone, as `wg genkey` writes one; never leaves it
 *     the public half                published on the Node object, where the others' agents read it
 *
 * A key outlives reboots and the agent: a new one would be a stranger's to all others until they have read it.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { wireguardIn, deleteFile, ensureFolder, findText, isWireguardKey, replaceText, type Link, type Netns, type WireguardPeer } from "@vethwork/linux";
import type { Behind } from "./devices.ts";
import { WIREGUARD_PORT, endOf } from "./ends.ts";
import type { Log } from "./log.ts";

export interface OwnKey {
  secret: Uint8Array;
  /** The public half, base64, as it is published. */
  key: string;
}

const fileIn = (folder: string): string => `${folder}/wireguard.key`;

/** The key in the folder; a new one where there is none, or one that does not read. */
export function ensureKey(folder: string, log: Log): OwnKey {
  const text = findText(fileIn(folder))?.trim();
  if (text !== undefined && isWireguardKey(text)) return ownKey(keyFrom(new Uint8Array(Buffer.from(text, "base64"))));
  const made = ownKey(generateKeyPairSync("x25519").privateKey);
  ensureFolder(folder);
  replaceText(fileIn(folder), `${Buffer.from(made.secret).toString("base64")}\n`);
  log.change(`make key ${made.key}${text === undefined ? "" : `, since what was in ${fileIn(folder)} is none`}`);
  return made;
}

/** True if it was there. */
export const deleteKey = (folder: string): boolean => deleteFile(fileIn(folder));

/** The head of an X25519 key in PKCS #8 (RFC 8410 section 7); the key's 32 bytes follow. */
const PKCS8 = Buffer.from("302e020100300506032b656e04220420", "hex");
const keyFrom = (secret: Uint8Array): KeyObject => createPrivateKey({ key: Buffer.concat([PKCS8, secret]), format: "der", type: "pkcs8" });

function ownKey(secret: KeyObject): OwnKey {
  const { d = "" } = secret.export({ format: "jwk" });
  const { x = "" } = createPublicKey(secret).export({ format: "jwk" });
  return { secret: new Uint8Array(Buffer.from(d, "base64url")), key: Buffer.from(x, "base64url").toString("base64") };
}

/** Whom the device is to know, where they are and what they may send; and nobody else. */
export function behindWireguard(host: Netns, link: Link, { own, peers, log }: { own: OwnKey; peers: readonly WireguardPeer[]; log: Log }): Behind {
  const there = wireguardIn(host).get(link);
  const known = new Map(there.peers.map((peer) => [peer.key, textOf(peer)]));
  const wanted = new Set(peers.map(({ key }) => key));
  const holders = new Map(there.peers.flatMap(({ key, allowed }) => allowed.map((subnet) => [String(subnet), key])));
  const ensure = peers.filter((peer) => known.get(peer.key) !== textOf(peer));
  const remove = [...known.keys()].filter((key) => !wanted.has(key));
  const isOwn = there.key === own.key && there.port === WIREGUARD_PORT;
  return {
    moved: ensure.flatMap(({ key, allowed }) => allowed.filter((subnet) => (holders.get(String(subnet)) ?? key) !== key).map(endOf)),
    add: () => {
      if (isOwn && ensure.length === 0) return;
      log.attempt(() => {
        wireguardIn(host).set(link, { ...(!isOwn && { privateKey: own.secret, port: WIREGUARD_PORT }), ensure });
        if (!isOwn) log.change(`set key ${own.key} and port ${WIREGUARD_PORT} of ${link.name}`);
        for (const peer of ensure) log.change(`set peer ${textOf(peer)} of ${link.name}`);
      });
    },
    deleteStale: () => {
      if (remove.length === 0) return;
      log.attempt(() => {
        wireguardIn(host).set(link, { remove });
        for (const key of remove) log.change(`delete peer ${key} from ${link.name}`);
      });
    },
  };
}

const textOf = ({ key, endpoint, allowed }: WireguardPeer): string => `${key} at ${endpoint?.ip} for ${allowed.map(String).toSorted().join(", ")}`;
