/** The rows of ipvlan, beside the reference and across. */
import { ipvlan } from "./rows/ipvlan.ts";
import { playTable } from "./suite.ts";

playTable(ipvlan);
