/** The rows of host-device, beside the reference and across. */
import { hostDevice } from "./rows/host-device.ts";
import { playTable } from "./suite.ts";

playTable(hostDevice);
