/** The rows of bridge, beside the reference and across. */
import { bridge } from "./rows/bridge.ts";
import { playTable } from "./suite.ts";

playTable(bridge);
