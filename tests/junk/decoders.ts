/**
 * Every decoder of what others wrote: the one table that `npm test` and `npm run fuzz` play. tests/house/junk.test.ts finds
 * readers that are missing here.
 */
import { decoders as agent } from "./decoders/agent.ts";
import { decoders as cni } from "./decoders/cni.ts";
import { decoders as linux } from "./decoders/linux.ts";
import { decoders as plugins } from "./decoders/plugins.ts";
import type { Decoder } from "./trial.ts";

export const decoders: readonly Decoder[] = [...cni, ...plugins, ...agent, ...linux];
