/** The rows of ptp, beside the reference and across. */
import { ptp } from "./rows/ptp.ts";
import { playTable } from "./suite.ts";

playTable(ptp);
