/** What an Ethernet frame carries: include/uapi/linux/if_ether.h, in its spelling. */

export const headers = ["linux/if_ether.h"] as const;

export const ETH_P = {
  ALL:  0x0003, // whatever it is
  IP:   0x0800,
  ARP:  0x0806,
  IPV6: 0x86dd,
} as const;
