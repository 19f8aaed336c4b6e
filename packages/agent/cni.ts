/**
 * CNI set-up: what makes a node ready for pods, once its data path is, and not before.
 *
 *     /opt/cni/bin/vethwork, portmap, bandwidth      the binary and the links that the list below needs; others' plugins stay
 *     /run/vethwork/.agent/ready                     in memory: the data path has been ready in this boot (STATUS looks for it)
 *     /etc/cni/net.d/10-vethwork.conflist            last of all: with it the runtime calls the node ready
 *
 * The configuration is written beside and renamed: containerd looks at the folder when a name in it goes or a file is written, and
 * passes over what is not called .conf, .conflist or .json. It stays when the agent ends, and for the next boot: pods are
 * added without an agent as long as the node keeps its subnet.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deleteFile, ensureFolder, findText, folderOf, isFile, writeText, type Cidr } from "@vethwork/linux";
import { BINARY, placeBinary, placeLink, swapIn } from "@vethwork/plugins/shared/install.ts";

export interface CniSettings {
  /** The network's name: of the file, of the book of addresses, in rules' comments. */
  network: string;
  confFolder: string;
  binFolder: string;
  /** This very program, to be copied. */
  program: string;
  /** Plugin types that the program serves. */
  types: readonly string[];
  readyFile: string;
  clusterSubnets: readonly Cidr[];
  /** Only tells what it would change. */
  dryRun: boolean;
}

export interface Share {
  /** Of this node's pods. */
  podSubnets: readonly Cidr[];
  /** Of a pod's interface, in bytes; 0 leaves it to the plugin. */
  mtu: number;
}

export interface CniSetUp {
  /** Makes it so; gives what was changed, in lines. */
  ensure(share: Share): string[];
  /** Takes the configuration and the mark away: no pod is added by them any more. The binary stays, for DEL. */
  clear(): string[];
}

/** Plugins that follow, with what the runtime is to tell them: ports of the node that lead to the pod, and limits. */
const CHAINED: Readonly<Record<string, string>> = { portmap: "portMappings", bandwidth: "bandwidth" };

/** A runtime takes the highest that it speaks; one that knows no list of them (before 1.1.0, with STATUS) takes the first. */
const VERSIONS = ["1.0.0", "1.1.0"];

export function createCniSetUp(settings: CniSettings): CniSetUp {
  const { network, confFolder, binFolder, program, types, readyFile, dryRun } = settings;
  const path = join(confFolder, `10-${network}.conflist`);
  const known = new Map<string, string>();
  return {
    ensure: (share) => {
      const text = `${JSON.stringify(conflistOf(settings, share), undefined, 2)}\n`;
      const chained = types.filter((type) => Object.hasOwn(CHAINED, type));
      const placed = [placeBinary(binFolder, program, { dryRun, known }), ...chained.flatMap((type) => placeLink(binFolder, type, { asked: [], dryRun }))];
      const changes = placed.filter(({ verb }) => verb !== "keep").map(({ verb, what }) => `${verb} ${what}`);
      if (!isFile(readyFile)) {
        if (!dryRun) mark(readyFile);
        changes.push(`write ${readyFile}`);
      }
      if (findText(path) === text) return changes;
      if (!dryRun) {
        mkdirSync(confFolder, { recursive: true, mode: 0o755 });
        swapIn(path, (beside) => writeFileSync(beside, text, { mode: 0o644 }));
      }
      return [...changes, `write ${path}`];
    },
    clear: () => [path, readyFile].filter(deleteFile).map((gone) => `delete ${gone}`),
  };
}

function mark(readyFile: string): void {
  ensureFolder(folderOf(readyFile));
  writeText(readyFile, `${new Date().toISOString()}\n`);
}

/**
 * Masquerade is the data path's, for all networks of the node at once, and not the plugin's. Without the cluster's subnets the
 * network is this node's own: one end of every packet that the node passes on is one of its pods.
 */
function conflistOf({ network, types, readyFile, clusterSubnets }: Omit<CniSettings, "dryRun">, { podSubnets, mtu }: Share): object {
  const inside = clusterSubnets.length > 0 ? clusterSubnets : podSubnets;
  const own = { type: BINARY, network: inside.map(String), subnet: podSubnets.map(String), ...(mtu > 0 && { mtu }), ipMasq: false, readyFile };
  const chained = Object.entries(CHAINED).filter(([type]) => types.includes(type)).map(([type, capability]) => ({ type, capabilities: { [capability]: true } }));
  return { cniVersion: VERSIONS[0], cniVersions: VERSIONS, name: network, plugins: [own, ...chained] };
}
