/** The rows of vrf, beside the reference and across. */
import { vrf } from "./rows/vrf.ts";
import { playTable } from "./suite.ts";

playTable(vrf);
