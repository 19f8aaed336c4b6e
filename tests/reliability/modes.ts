/** What plugins write on a node, and who may read it: stated here, printed in docs/reliability.md, held by ./trust.root.test.ts. All of it is root's. */

export interface Mode {
  path: string;
  /** Of its kind, f or d, and its path. */
  pattern: RegExp;
  /** As `stat -c %a` prints it. */
  mode: string;
  by: string;
  why: string;
}

const row = (path: string, pattern: RegExp, mode: string, by: string, why: string): Mode => ({ path, pattern, mode, by, why });

export const modes: readonly Mode[] = [
  row("/var/lib/cni/, /var/lib/cni/networks/, and a folder for each network", /^d \/var\/lib\/cni(?:\/networks(?:\/[^/]+)?)?$/, "755", "host-local", "as the reference has it: others list it"),
  row("/var/lib/cni/networks/NETWORK/by-attachment/", /^d .*\/networks\/[^/]+\/by-attachment$/, "700", "host-local", "ours alone"),
  row("/var/lib/cni/networks/…, every file", /^f \/var\/lib\/cni\/networks\//, "600", "host-local", "programs of root's read it"),
  row("/var/lib/cni/flannel/", /^d \/var\/lib\/cni\/flannel$/, "700", "flannel", "what its delegates were told"),
  row("/var/lib/cni/flannel/CONTAINER", /^f \/var\/lib\/cni\/flannel\//, "600", "flannel", "what its delegates were told"),
  row("/run/vethwork/, every folder", /^d \/run\/vethwork(?:\/|$)/, "700", "vethwork, firewall, sample", "ours alone"),
  row("/run/vethwork/…, every file", /^f \/run\/vethwork\//, "600", "vethwork, firewall, sample", "ours alone"),
  row("/run/cni/, /run/cni/tuning/", /^d \/run\/cni(?:\/tuning)?$/, "700", "tuning", "ours alone"),
  row("/run/cni/tuning/CONTAINER_INTERFACE.json", /^f \/run\/cni\/tuning\//, "600", "tuning", "ours alone"),
];
