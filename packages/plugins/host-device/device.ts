/** Which of the node's devices is meant: by name, MAC address, path in sysfs, or bus address; in that order. */
import { CniError, ErrorCode, config, mac, object, string, type ConfigOf } from "@vethwork/cni";
import { listFolder, parseMac, type Link, type Netns } from "@vethwork/linux";

export const options = config({
  device: [string, "", "The device's name."],
  hwaddr: [mac, undefined, "Its MAC address."],
  kernelpath: [string, "", "Its path below /sys/devices; the first of the folder `net` in it."],
  pciBusID: [string, "", "Its PCI address, such as 0000:00:1f.6."],
  runtimeConfig: [object({ deviceID: [string, "", "A PCI address or the name of an auxiliary device, from a device plugin."] }), {}, "What the runtime supplies for declared capabilities: `deviceID`."],
});
export type Config = ConfigOf<typeof options>;

const PCI = "/sys/bus/pci/devices";
const AUXILIARY = "/sys/bus/auxiliary/devices";
/** Drivers that hand a card to a program; the kernel then has no device of it that could be moved. */
const USER_SPACE = ["vfio-pci", "uio_pci_generic", "igb_uio"];

const invalid = (message: string): CniError => new CniError(ErrorCode.INVALID_CONFIG, message);

/** The device's bus folder, if it is named by one. CniError 7 where a runtime's device is on no bus that we know. */
function busFolder({ pciBusID, runtimeConfig: { deviceID } }: Config): string | undefined {
  if (deviceID === "") return pciBusID === "" ? undefined : `${PCI}/${inOneFolder(pciBusID)}`;
  for (const bus of [PCI, AUXILIARY]) if (listFolder(bus).includes(deviceID)) return `${bus}/${deviceID}`;
  throw invalid(`runtime config DeviceID ${deviceID} not found or unsupported`);
}

function inOneFolder(id: string): string {
  if (!id.includes("/") && id !== "." && id !== "..") return id;
  throw invalid(`"pciBusID" is ${JSON.stringify(id)} (a PCI address such as 0000:00:1f.6 is wanted)`);
}

/** True where a program of its own drives the card: there is nothing to move, and only addresses to keep. */
export function isUserSpace(given: Config): boolean {
  const folder = busFolder(given);
  return folder !== undefined && listFolder(`${folder}/driver/module/drivers`).some((driver) => USER_SPACE.includes(driver.slice(driver.indexOf(":") + 1)));
}

/** CniError 7 where nothing is named, or there is no such device. */
export function findDevice(host: Netns, given: Config): Link {
  const { device, hwaddr, kernelpath } = given;
  const missing = (what: string): CniError => invalid(`failed to find host device: ${what}`);
  if (device !== "") {
    const link = host.links.find(device);
    if (link) return link;
    throw missing(`there is no link "${device}"`);
  }
  if (hwaddr !== undefined) {
    const wanted = String(parseMac(hwaddr));
    const link = host.links.list().find((one) => String(one.mac) === wanted);
    if (link) return link;
    throw missing(`no link has the MAC address ${wanted}`);
  }
  const folder = kernelpath === "" ? busFolder(given) : pathBelowDevices(kernelpath);
  if (folder === undefined) throw invalid('specify either "device", "hwaddr", "kernelpath" or "pciBusID"');
  const virtio = listFolder(folder).filter((name) => name.startsWith("virtio"));
  const [name] = [folder, ...virtio.map((one) => `${folder}/${one}`)].flatMap((one) => listFolder(`${one}/net`).sort());
  const link = name === undefined ? undefined : host.links.find(name);
  if (link) return link;
  throw missing(`no net directory with a device under ${folder}`);
}

function pathBelowDevices(path: string): string {
  if (path.startsWith("/sys/devices/") && !path.split("/").includes("..")) return path;
  throw invalid(`kernel device absolute path ${JSON.stringify(path)} must be in /sys/devices`);
}
