/** The rows of vlan, beside the reference and across. */
import { vlan } from "./rows/vlan.ts";
import { playTable } from "./suite.ts";

playTable(vlan);
