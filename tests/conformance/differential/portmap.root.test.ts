/** The rows of portmap, beside the reference and across. */
import { portmap } from "./rows/portmap.ts";
import { playTable } from "./suite.ts";

playTable(portmap);
