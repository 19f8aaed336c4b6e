/** The rows of whole chains, beside the reference and across. */
import { chains } from "./rows/chains.ts";
import { playTable } from "./suite.ts";

playTable(chains);
