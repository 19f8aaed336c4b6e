/** The rows of tuning, beside the reference and across. */
import { tuning } from "./rows/tuning.ts";
import { playTable } from "./suite.ts";

playTable(tuning);
