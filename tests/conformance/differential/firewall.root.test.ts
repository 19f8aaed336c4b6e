/** The rows of firewall, beside the reference and across. */
import { firewall } from "./rows/firewall.ts";
import { playTable } from "./suite.ts";

playTable(firewall);
