/**
 * Giving an address back: one message to the server that granted it, which nobody answers (RFC 2131 section 4.4.4).
 *
 * It needs no conversation, so the plugin can do it by itself where the daemon is away. It goes to the MAC address from which the
 * grant came: the interface is about to be deleted, and a packet that waits for ARP to find its way would be deleted with it.
 */
import { messageOf } from "@vethwork/cni";
import { Netns, parseCidr, parseIp, sendDatagram } from "@vethwork/linux";
import type { Held } from "./lease.ts";
import { encodeMessage } from "./message.ts";
import { CLIENT_PORT, SERVER_PORT, release, toServer } from "./requests.ts";

/**
 * Gives it back. `prefix` stands before the path of the namespace. Undefined where the message went out, else what kept it from that:
 * a pod that is gone cannot say goodbye any more, and its address is free when the lease ends.
 */
export function sendRelease({ wish, lease }: Held, prefix = ""): string | undefined {
  try {
    using pod = Netns.find(`${prefix}${wish.netns}`);
    const link = pod?.links.find(wish.ifname);
    if (!pod || !link?.mac) return `the interface "${wish.ifname}" is gone`;
    const { mac: to, ip, from } = toServer(lease);
    const message = release({ wish, mac: link.mac }, { address: parseCidr(lease.address).ip, server: parseIp(lease.server) });
    sendDatagram(pod, link, { mac: to, from: { ip: from, port: CLIENT_PORT }, to: { ip, port: SERVER_PORT }, payload: encodeMessage(message) });
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}
