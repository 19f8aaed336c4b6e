/** The rows of flannel, beside the reference and across. */
import { flannel } from "./rows/flannel.ts";
import { playTable } from "./suite.ts";

playTable(flannel);
