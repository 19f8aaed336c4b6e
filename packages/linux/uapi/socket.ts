/** Sockets, namespaces, file systems: the numbers of bits/socket.h, sched.h, magic.h, file.h, mount.h, poll.h. */

export const headers = ["bits/socket.h", "bits/socket_type.h", "linux/sched.h", "linux/magic.h", "linux/in.h", "linux/in6.h", "asm-generic/socket.h", "linux/mount.h"] as const;

export const AF = { UNSPEC: 0, UNIX: 1, INET: 2, BRIDGE: 7, INET6: 10, NETLINK: 16, PACKET: 17 } as const;
export const SOCK = { STREAM: 1, DGRAM: 2, RAW: 3, NONBLOCK: 0o4000 } as const;
export const SOL = { SOCKET: 1, NETLINK: 270 } as const;
export const SO = { REUSEADDR: 2, ERROR: 4, SNDBUF: 7, RCVBUF: 8, PEERCRED: 17, RCVTIMEO: 20, SNDTIMEO: 21, ATTACH_FILTER: 26, SNDBUFFORCE: 32, RCVBUFFORCE: 33 } as const;
export const MSG = { PEEK: 2, TRUNC: 0x20, DONTWAIT: 0x40, NOSIGNAL: 0x4000 } as const;
export const IPPROTO = { ICMP: 1, TCP: 6, UDP: 17, IPV6: 41, ICMPV6: 58, SCTP: 132 } as const;
export const IPV6 = { V6ONLY: 26 } as const;
export const CLONE = { NEWNS: 0x00020000, NEWNET: 0x40000000 } as const;
export const MS = { RDONLY: 1, NOSUID: 2, NODEV: 4, NOEXEC: 8, BIND: 4096, REC: 16384, PRIVATE: 1 << 18 } as const;
export const NSFS_MAGIC = 0x6e736673;
export const PROC_SUPER_MAGIC = 0x9fa0;
export const LOCK = { SH: 1, EX: 2, NB: 4, UN: 8 } as const; // sys/file.h
export const POLL = { IN: 1, OUT: 4 } as const;
