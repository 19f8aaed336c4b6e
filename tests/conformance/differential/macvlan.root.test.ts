/** The rows of macvlan, beside the reference and across. */
import { macvlan } from "./rows/macvlan.ts";
import { playTable } from "./suite.ts";

playTable(macvlan);
