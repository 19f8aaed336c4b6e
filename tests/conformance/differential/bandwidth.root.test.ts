/** The rows of bandwidth, beside the reference and across. */
import { bandwidth } from "./rows/bandwidth.ts";
import { playTable } from "./suite.ts";

playTable(bandwidth);
