/** The rows of sbr, beside the reference and across. */
import { sbr } from "./rows/sbr.ts";
import { playTable } from "./suite.ts";

playTable(sbr);
