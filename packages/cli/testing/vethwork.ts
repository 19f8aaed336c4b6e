/** The command from its sources, as the built binary starts it; without plugins' programs, which the build makes. */
import { main } from "../main.ts";

void main({});
