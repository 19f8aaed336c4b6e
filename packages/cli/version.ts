/** The program's version: that of the package. */
import manifest from "../../package.json" with { type: "json" };

export const { version } = manifest;
