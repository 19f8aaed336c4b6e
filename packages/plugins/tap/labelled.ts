/**
 * A tap under a security label. SELinux gives a tap the label of the process that makes it, and a process may take another
 * label only by starting a program; so `ip` is started under it, as the reference does.
 */
import { CniError, ErrorCode, messageOf, oneLine } from "@vethwork/cni";
import { kernelCall, put, type NewTap, type Netns } from "@vethwork/linux";

/** What the next program is started under that this thread starts (proc_pid_attr(5)). */
const LABEL_OF_NEXT = "/proc/thread-self/attr/exec";
const PATH = "/usr/sbin:/usr/bin:/sbin:/bin";

/** Makes it by `ip`, whose process has the label. */
export function addLabelledTap(pod: Netns, { name, owner, group, multiQueue = false }: NewTap, label: string): void {
  const argv = [
    "ip", "tuntap", "add", "mode", "tap", "name", name, ...(multiQueue ? ["multi_queue"] : []),
    ...(owner === undefined ? [] : ["user", String(owner)]), ...(group === undefined ? [] : ["group", String(group)]),
  ];
  setLabel(label);
  try {
    kernelCall(`run ${argv.join(" ")}`);
    const { exitCode, stderr } = pod.inside(() => Bun.spawnSync(argv, { env: { PATH }, stdin: "ignore", stdout: "ignore" }));
    if (exitCode !== 0) throw new CniError(ErrorCode.IO_FAILURE, `${argv.join(" ")} failed: ${oneLine(stderr.toString())}`);
  } finally {
    setLabel("\n"); // none: what is started next, an IPAM plugin say, is not to have it
  }
}

function setLabel(label: string): void {
  kernelCall("set the label of the next program");
  try {
    put(LABEL_OF_NEXT, label, 0);
  } catch (error) {
    const message = `cannot take the security label ${JSON.stringify(label)}: ${oneLine(messageOf(error))} (SELinux and a label that it knows are wanted)`;
    throw new CniError(ErrorCode.INVALID_CONFIG, message, { cause: error });
  }
}
