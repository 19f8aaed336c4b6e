/** A program in a pod that forges a frame: `bun forge.ts LINK MAC IP` broadcasts a datagram to port 7777 from a MAC address that it was told. */
import { BROADCAST, EVERYBODY, Netns, parseIp, parseMac, sendDatagram } from "@vethwork/linux";

const [name = "", mac = "", ip = ""] = process.argv.slice(2);
using here = Netns.host();
const link = here.links.get(name);
const datagram = { mac: BROADCAST, from: { ip: parseIp(ip), port: 7777 }, to: { ip: EVERYBODY, port: 7777 }, payload: new Uint8Array(8) };
sendDatagram(here, { ...link, mac: parseMac(mac) }, datagram);
