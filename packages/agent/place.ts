/** Where an agent is found: its lock, its socket and its mark, in memory, in a folder that is root's. No network is called so. */
export const DEFAULT_RUN_FOLDER = "/run/vethwork/.agent";
export const lockIn = (runFolder: string): string => `${runFolder}/lock`;
export const socketIn = (runFolder: string): string => `${runFolder}/socket`;
/** There since the data path has been ready in this boot; STATUS looks for it. */
export const readyFileIn = (runFolder: string): string => `${runFolder}/ready`;
