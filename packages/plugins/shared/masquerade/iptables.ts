/**
 * Masquerade by iptables, for whoever asks for it (`ipMasqBackend: "iptables"`) or was given it by the reference plugin.
 *
 *     -A POSTROUTING -s 10.1.2.5/32 -j CNI-2bbe…      packets of the pod
 *     -A CNI-2bbe… -d 10.1.2.0/24 -j ACCEPT           inside its subnet nobody's address is changed
 *     -A CNI-2bbe… ! -d 224.0.0.0/4 -j MASQUERADE
 *
 * The program decides whether these become nftables' rules or those of long ago, so it is called: all of a change in one
 * iptables-restore, which takes the lock of iptables' own (--wait) and does everything or nothing.
 */
import { CniError, ErrorCode, oneLine } from "@vethwork/cni";
import { findText, ignore, kernelCall, networkOf, type Cidr, type Family, type Netns } from "@vethwork/linux";
import { hasNftables } from "../nftables.ts";
import { chainOf, iptablesComment, type Owner } from "./names.ts";

const TOOLS = { 4: "iptables", 6: "ip6tables" } as const;
const MULTICAST = { 4: "224.0.0.0/4", 6: "ff00::/8" } as const;
const WAIT_SECONDS = "30"; // for the lock: kubelet waits two minutes for a pod's network
const RESOURCE_PROBLEM = 4; // xtables.h: the lock is held by another, or memory is short
const PATH = "/usr/sbin:/usr/bin:/sbin:/bin";

/** A rule of POSTROUTING that leads to a masquerade chain. */
interface Jump {
  /** As `iptables -S` writes it, without the verb. */
  text: string;
  source: string;
  chain: string;
  network: string;
  containerId: string;
}

/** Makes the owner's rules. An address that has one already keeps it. */
export function ensureRules(owner: Owner, addresses: readonly Cidr[]): void {
  const chain = chainOf(owner);
  const comment = `-m comment --comment ${quoted(iptablesComment(owner))}`;
  for (const family of new Set(addresses.map((one) => one.family))) {
    const own = addresses.filter((one) => one.family === family);
    const listed = listNat(family);
    const isThere = listed.includes(`-N ${chain}`);
    const missing = own.filter(({ ip }) => !jumpsIn(listed).some((jump) => jump.chain === chain && jump.source === String(ip)));
    restore(family, [
      ...(isThere ? [] : [`:${chain} - [0:0]`, `-A ${chain} ! -d ${MULTICAST[family]} -j MASQUERADE ${comment}`]),
      // At the head: where another interface of the container was first, its masquerade is the last rule already.
      ...missing.map((address) => `-I ${chain} -d ${networkOf(address)} -j ACCEPT ${comment}`),
      ...missing.map(({ ip }) => `-A POSTROUTING -s ${ip} -j ${chain} ${comment}`),
    ]);
  }
}

/**
 * Takes the owner's rules away; with addresses those alone, since two interfaces of a container share the chain. The
 * chain goes with its last user.
 */
export function deleteRules(owner: Owner, addresses: readonly Cidr[]): void {
  const own = addresses.map(({ ip }) => String(ip));
  const chain = chainOf(owner);
  deleteWhere((jump) => jump.chain === chain && (own.length === 0 || own.includes(jump.source)), chain);
}

/** Takes away the network's rules of containers that are none of these. */
export function collectRules(network: string, keep: readonly Owner[]): void {
  deleteWhere((jump) => jump.network === network && !keep.some(({ containerId }) => containerId === jump.containerId));
}

/** What is missing, in words. */
export function ruleFaults(owner: Owner, addresses: readonly Cidr[]): string[] {
  const chain = chainOf(owner);
  return addresses.filter(({ family, ip }) => {
    const listed = listNat(family);
    const masquerades = listed.some((line) => line.startsWith(`-A ${chain} `) && line.includes("-j MASQUERADE"));
    return !masquerades || !jumpsIn(listed).some((jump) => jump.chain === chain && jump.source === String(ip));
  }).map(({ ip }) => `the rule that masquerades ${ip} is missing`);
}

/** Whether iptables may have rules of the owner's: seen in the kernel, without a process. Of the kind of long ago it only knows that there are some. */
export function mayHaveRules(host: Netns, owner: Owner): boolean {
  const name = chainOf(owner);
  const isChain = hasNftables(host) && (["ip", "ip6"] as const).some((family) => host.nft.findChain({ table: { family, name: "nat" }, name }) !== undefined);
  return isChain || hasLegacyNat();
}

const hasLegacyNat = (): boolean => ["ip_tables_names", "ip6_tables_names"].some((file) => (findText(`/proc/net/${file}`) ?? "").includes("nat"));
/** @param orphan a chain to take away even where nothing leads to it: the reference makes it in several steps, and may be killed between them */
function deleteWhere(isStale: (jump: Jump) => boolean, orphan?: string): void {
  for (const family of [4, 6] as const) {
    const listed = findNat(family);
    if (!listed) continue;
    const [stale, kept] = [jumpsIn(listed).filter(isStale), jumpsIn(listed).filter((jump) => !isStale(jump))];
    const chains = new Set([...stale.map(({ chain }) => chain), ...(orphan !== undefined && listed.includes(`-N ${orphan}`) ? [orphan] : [])]);
    const unused = [...chains].filter((chain) => !kept.some((jump) => jump.chain === chain));
    const lines = [...stale.map(({ text }) => `-D ${text}`), ...unused.flatMap((chain) => [`-F ${chain}`, `-X ${chain}`])];
    if (lines.length > 0) restore(family, lines);
  }
}

const quoted = (text: string): string => `"${text.replaceAll('"', String.raw`\"`)}"`;

/** The table as `iptables -S` writes it, a line each. */
function listNat(family: Family): string[] {
  return run(TOOLS[family], ["-w", WAIT_SECONDS, "-t", "nat", "-S"], "").split("\n");
}

/** As listNat; undefined where the tool is not there or cannot list: then nobody made anything with it. */
function findNat(family: Family): string[] | undefined {
  if (findTool(TOOLS[family]) === undefined) return undefined;
  try {
    return listNat(family);
  } catch (error) {
    // Another holds iptables' lock: that is no answer.
    if (!(error instanceof CniError) || error.code === ErrorCode.TRY_AGAIN) throw error;
    ignore(error, "a tool that cannot list the rules has made none");
    return undefined;
  }
}

function restore(family: Family, lines: readonly string[]): void {
  if (lines.length === 0) return;
  run(`${TOOLS[family]}-restore`, ["--noflush", "-w", WAIT_SECONDS], `*nat\n${lines.join("\n")}\nCOMMIT\n`);
}

function jumpsIn(lines: readonly string[]): Jump[] {
  return lines.flatMap((line) => {
    const [, text, source, network, containerId, chain] =
      /^-A (POSTROUTING -s (\S+?)(?:\/32|\/128)? .*--comment "name: \\"(.*?)\\" id: \\"(.*?)\\"" .*-j (CNI-[0-9a-f]{24}).*)$/.exec(line) ?? [];
    return text && source && network !== undefined && containerId !== undefined && chain ? [{ text, source, network, containerId, chain }] : [];
  });
}

const findTool = (name: string): string | undefined => Bun.which(name, { PATH: `${process.env["PATH"] ?? ""}:${PATH}` }) ?? undefined;

/** Runs a tool and gives what it printed. CniError 50 where it is not installed, 999 with its own words where it fails. */
function run(name: string, argv: readonly string[], stdin: string): string {
  const tool = findTool(name);
  if (tool === undefined) {
    throw new CniError(ErrorCode.PLUGIN_NOT_AVAILABLE, `Cannot masquerade by iptables: "${name}" is not installed (or "ipMasqBackend": "nftables" is wanted)`);
  }
  kernelCall(`run ${name}`);
  const { exitCode, stdout, stderr } = Bun.spawnSync([tool, ...argv], { stdin: Buffer.from(stdin), env: process.env });
  if (exitCode === 0) return stdout.toString();
  const code = exitCode === RESOURCE_PROBLEM ? ErrorCode.TRY_AGAIN : ErrorCode.INTERNAL;
  throw new CniError(code, `Cannot masquerade by iptables: ${name} ended with ${exitCode}`, { details: oneLine(stderr.toString()) });
}
