/**
 * Feeds junk to every reader of what others wrote, for as long as one likes, and stops at the first input that one does not stand.
 *
 *   npm run fuzz [-- --seconds N] [--only READER] [--seed S]        60 seconds for all together, from a seed that nobody chose
 *
 * What it finds goes into tests/reliability/seeds.json, and is read at every `npm test` from then on.
 */
import { parseArgs } from "node:util";
import { decoders, feed } from "../tests/reliability/decoders.ts";

const { values } = parseArgs({ options: { seconds: { type: "string", default: "60" }, only: { type: "string" }, seed: { type: "string" } } });
const seconds = Number(values.seconds);
const first = Number(values.seed ?? 1_000_000 + (Date.now() % 1_000_000_000));
const chosen = decoders.filter(({ name }) => values.only === undefined || name.includes(values.only));
if (!(seconds > 0) || !Number.isInteger(first) || chosen.length === 0) {
  console.error(`fuzz: --seconds ${values.seconds} --seed ${values.seed ?? ""} --only ${values.only ?? ""} (a number, a whole number, and one of: ${decoders.map(({ name }) => name).join(", ")})`);
  process.exit(2);
}
for (const decoder of chosen) {
  const end = performance.now() + (seconds * 1000) / chosen.length;
  let seed = first;
  for (; performance.now() < end; seed += 500) {
    const found = await feed(decoder, { from: seed, inputs: 500 });
    if (!found) continue;
    console.error(`${found.decoder}: with seed ${found.seed}: ${found.what}\n  ${found.input}`);
    process.exit(1);
  }
  console.log(`${decoder.name}: ${seed - first} inputs from seed ${first}`);
}
