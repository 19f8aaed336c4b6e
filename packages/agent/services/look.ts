/** Services as the kernel has them: nobody else is asked, so it holds without an agent, and of whatever somebody has done by hand. */
import type { KernelElement, Nft } from "@vethwork/linux";
import { chainIn } from "./mirror.ts";
import { FAMILIES, setsOf } from "./table.ts";
import { keyText, valueText } from "./texts.ts";
import { wordsOf } from "./words.ts";

export interface SeenEndpoint {
  /** `10.244.1.3 8080`. */
  at: string;
  /** `web-1 on node-1`, "" where it is nobody's pod. */
  who: string;
  /** How many connections began there. */
  connections: number;
}

export interface SeenFrontend {
  /** `default/web:http`. */
  service: string;
  kind: string;
  /** `10.96.0.10 tcp 80`. */
  key: string;
  /** How connections are treated, in words. */
  treatment: string;
  /** How many connections began. */
  connections: number;
  endpoints: SeenEndpoint[];
  /** Source ranges. */
  sources: string[];
}

/** All that there are, by service; of a service's name or `namespace/name` only its own. */
export function lookAtServices(nft: Nft, name?: string): SeenFrontend[] {
  const found = new Map<string, SeenFrontend>();
  for (const family of FAMILIES) {
    const { services, endpoints, sources } = setsOf(family);
    nft.readElements(services, (element) => {
      const frontend = frontendFrom(element);
      if (isOf(frontend.service, name)) found.set(frontend.key, frontend);
    });
    nft.readElements(endpoints, (element) => {
      const { key, value, comment = "", packets = 0n } = element;
      const number = key.at(-1);
      const list = found.get(keyText(key.slice(0, -1)))?.endpoints;
      if (list && typeof number === "number") list[number] = { at: valueText(value === undefined ? {} : { value }), who: comment, connections: Number(packets) };
    });
    nft.readElements(sources, ({ key }) => void found.get(keyText(key.slice(0, -1)))?.sources.push(String(key.at(-1))));
  }
  return [...found.values()].toSorted((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1));
}

function frontendFrom({ key, value, comment = "", packets = 0n }: KernelElement): SeenFrontend {
  const verdict = valueText(value === undefined ? {} : { value });
  const [service = "", kind = ""] = comment.split(" ");
  const chain = chainIn(verdict);
  return { service, kind, key: keyText(key), treatment: chain === undefined ? "dropped, as no endpoint is on this node" : wordsOf(chain), connections: Number(packets), endpoints: [], sources: [] };
}

const orderOf = ({ service, kind, key }: SeenFrontend): string => `${service} ${kind} ${key.includes(":") ? 6 : 4} ${key}`;

function isOf(service: string, name: string | undefined): boolean {
  const [full = ""] = service.split(":");
  return name === undefined || full === name || full.split("/")[1] === name || service === name;
}
