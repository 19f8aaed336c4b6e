/** The rows of tap, beside the reference and across. */
import { tap } from "./rows/tap.ts";
import { playTable } from "./suite.ts";

playTable(tap);
