/** The rows of loopback, beside the reference and across. */
import { loopback } from "./rows/loopback.ts";
import { playTable } from "./suite.ts";

playTable(loopback);
