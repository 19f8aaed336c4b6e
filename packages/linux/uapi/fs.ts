/** Files: the numbers of asm-generic/fcntl.h, linux/fcntl.h and linux/stat.h. */

export const headers = ["asm-generic/fcntl.h", "linux/fcntl.h", "linux/stat.h"] as const;

export const O = {
  RDONLY: 0, WRONLY: 0o1, RDWR: 0o2, CREAT: 0o100, EXCL: 0o200, TRUNC: 0o1000, APPEND: 0o2000, NONBLOCK: 0o4000,
  DIRECTORY: 0o200000, CLOEXEC: 0o2000000,
} as const;
export const AT = { FDCWD: -100, REMOVEDIR: 0x200, EMPTY_PATH: 0x1000 } as const;
export const STATX = { BASIC_STATS: 0x7ff } as const;
export const S = { IFMT: 0o170000, IFDIR: 0o040000, IFREG: 0o100000 } as const;
