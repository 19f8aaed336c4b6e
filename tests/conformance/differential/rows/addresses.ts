/** Addresses that rows give their pods; the gateway is on no machine unless a row makes one. */

export const one4 = { type: "host-local", subnet: "10.1.2.0/24" } as const;
export const one6 = { type: "host-local", ranges: [[{ subnet: "fd00:1:2::/64" }]] } as const;
export const dual = { type: "host-local", ranges: [[{ subnet: "10.1.2.0/24" }], [{ subnet: "fd00:1:2::/64" }]] } as const;
/** The same, with default routes. */
export const out4 = { ...one4, routes: [{ dst: "0.0.0.0/0" }] } as const;
export const out6 = { ...one6, routes: [{ dst: "::/0" }] } as const;
export const outDual = { ...dual, routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }] } as const;
/** On the node's own wire, where the gateway answers. */
export const wire4 = { type: "host-local", subnet: "192.0.2.0/24", rangeStart: "192.0.2.10", rangeEnd: "192.0.2.20", gateway: "192.0.2.254", routes: [{ dst: "0.0.0.0/0" }] } as const;
export const wireDual = {
  type: "host-local",
  ranges: [[{ subnet: "192.0.2.0/24", rangeStart: "192.0.2.10", gateway: "192.0.2.254" }], [{ subnet: "2001:db8::/64", rangeStart: "2001:db8::10", gateway: "2001:db8::fe" }]],
  routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
} as const;
/** An address that IPAM did not have to look for. */
export const fixed4 = { type: "static", addresses: [{ address: "10.1.2.5/24", gateway: "10.1.2.1" }] } as const;
export const fixedDual = { type: "static", addresses: [{ address: "10.1.2.5/24", gateway: "10.1.2.1" }, { address: "fd00:1:2::5/64", gateway: "fd00:1:2::1" }], routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }] } as const;
