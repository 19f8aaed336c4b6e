/** The rows of dummy, beside the reference and across. */
import { dummy } from "./rows/dummy.ts";
import { playTable } from "./suite.ts";

playTable(dummy);
