/** The rows of static, beside the reference and across. */
import { staticTable } from "./rows/static.ts";
import { playTable } from "./suite.ts";

playTable(staticTable);
