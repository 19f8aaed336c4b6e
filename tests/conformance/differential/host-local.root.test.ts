/** The rows of host-local, beside the reference and across. */
import { hostLocal } from "./rows/host-local.ts";
import { playTable } from "./suite.ts";

playTable(hostLocal);
