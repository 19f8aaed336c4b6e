/**
 * What ADD gives back: which interfaces there are now, which addresses they have, where packets may go, who answers names.
 *
 * In memory there is one form, that of 1.1.0; the older ones exist only on the way in and out (results.ts). Addresses and routes
 * name an interface by its place in the list. Addresses are text, as they were written: the package computes nothing with them.
 */

/** A network interface that the chain made or uses. */
export interface Interface {
  name: string;
  mac?: string;
  /** In bytes; since 1.1.0. */
  mtu?: number;
  /** Path of the network namespace that holds it; absent for an interface of the host. */
  sandbox?: string;
  /** Since 1.1.0: the socket of an interface that lives in user space. */
  socketPath?: string;
  /** Since 1.1.0: the PCI address of a device handed through. */
  pciID?: string;
}

/** An address. */
export interface IpConfig {
  /** With the prefix length, host bits kept: "10.1.2.3/24". */
  address: string;
  gateway?: string;
  /** Place in `interfaces`; absent in an IPAM plugin's result, which knows no interfaces. */
  interface?: number;
}

/** A route in the container. */
export interface Route {
  /** "0.0.0.0/0" or "::/0" is everywhere. */
  dst: string;
  /** The next hop; absent: the gateway of the address, or the link itself. */
  gw?: string;
  /** This and the following since 1.1.0, as the kernel means them. */
  mtu?: number;
  advmss?: number;
  priority?: number;
  table?: number;
  scope?: number;
}

/** What to write into resolv.conf. */
export interface Dns {
  nameservers?: string[];
  domain?: string;
  search?: string[];
  options?: string[];
}

/** The outcome of ADD, handed from plugin to plugin along the chain and at last to the runtime. */
export interface Result {
  interfaces?: Interface[];
  ips?: IpConfig[];
  routes?: Route[];
  dns?: Dns;
}
