/** That every endpoint gets its share: `numgen random mod n` gives each new connection a number of its own (net/netfilter/nft_numgen.c). */
import { expect } from "bun:test";
import { createKeeper } from "./keeper.ts";
import { createPlanner } from "./planner.ts";
import { starTest } from "./testing/star.ts";
import { addressOf, made, surroundings, type Words } from "./testing/world.ts";

const DNS: Words = { name: "dns", n: 1, ports: [["dns", "UDP", 53, 5353]], slices: [[["web-1"], ["web-2"], ["web-3"]]] };
const ENDPOINTS = ["web-1", "web-2", "web-3"] as const;
const CONNECTIONS = 1500;
/** Of two degrees of freedom: an even spread is further off once in three million times. */
const CHI_SQUARED = 30;

starTest(`${CONNECTIONS} connections are spread evenly over three endpoints, in both families`, (star) => {
  const planner = createPlanner();
  planner.place(surroundings);
  planner.put("default/dns", made(DNS));
  createKeeper(star.node.nft, planner).settle(planner.take());
  for (const family of [4, 6] as const) {
    const to = made(DNS).service.clusterIps.find((ip) => ip.family === family) ?? expect.unreachable();
    const counts = new Map<string, number>(ENDPOINTS.map((who) => [who, 0]));
    for (let number = 0; number < CONNECTIONS; number++) {
      using _sent = star.send("client", { from: addressOf("client", family), to, protocol: "udp", port: 53 });
      star.settle("client", family);
      const who = star.arrival()?.who ?? "nobody";
      counts.set(who, (counts.get(who) ?? 0) + 1);
    }
    expect([...counts.keys()]).toEqual([...ENDPOINTS]);
    const share = CONNECTIONS / ENDPOINTS.length;
    const chiSquared = [...counts.values()].reduce((sum, count) => sum + (count - share) ** 2 / share, 0);
    console.log(`# IPv${family}: ${CONNECTIONS} connections to ${[...counts].map(([who, count]) => `${who} ${count}`).join(", ")}; χ² ${chiSquared.toFixed(2)}`);
    expect(chiSquared).toBeLessThan(CHI_SQUARED);
  }
});
