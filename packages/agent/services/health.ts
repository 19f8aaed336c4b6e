/**
 * Where load balancers ask which nodes to send to.
 *
 *     :10256 /healthz            200 unless passes are no longer made, or the node is being taken away: then send nothing new
 *     :healthCheckNodePort       of a service whose clients stay on their node: 200 where it has an endpoint here, else 503
 *
 * They ask from outside, so the doors are on all addresses. A door that cannot be opened is told as a problem and tried again, as its
 * port may be somebody's who ends.
 */
import { messageOf } from "@vethwork/cni";
import { endpointIn, servePublic, type Page, type Pages } from "../server.ts";
import type { HealthCheck, ServicesPass } from "./services.ts";

/** kube-proxy's port: clouds ask there. */
export const DEFAULT_HEALTH = "[::]:10256";

export interface HealthDoors extends Disposable {
  /** Opens and closes doors as these services need them; gives what is wrong. */
  keep(pass: Pick<ServicesPass, "isOn" | "because" | "healthChecks">): string[];
}

export interface HealthOptions {
  /** Of the node itself; "" for nowhere. Services' own doors are at the same address. */
  listen: string;
  isAlive: () => boolean;
  isLeaving: () => boolean;
}

interface Door {
  pages: Pages;
  server: Disposable;
}

export function createHealthDoors({ listen, isAlive, isLeaving }: HealthOptions): HealthDoors {
  const doors = new Map<string, Door>();
  const close = (at: string): void => {
    doors.get(at)?.server[Symbol.dispose]();
    doors.delete(at);
  };
  const ensure = (at: string, pages: Pages): string[] => {
    const there = doors.get(at);
    if (there) {
      there.pages = pages;
      return [];
    }
    try {
      const door: Door = { pages, server: opened(at, (path) => door.pages(path)) };
      doors.set(at, door);
      return [];
    } catch (error) {
      return [`Cannot tell load balancers at ${at} how this node is: ${messageOf(error)}`];
    }
  };
  return {
    keep: ({ isOn, because, healthChecks }) => {
      if (listen === "" || !isOn || because !== "") {
        for (const at of doors.keys()) close(at);
        return [];
      }
      const wanted = new Map([[listen, nodePages(isAlive, isLeaving)], ...healthChecks.map((check) => [beside(listen, check.port), servicePages(check, isAlive)] as const)]);
      for (const at of doors.keys()) if (!wanted.has(at)) close(at);
      return [...wanted].flatMap(([at, pages]) => ensure(at, pages));
    },
    [Symbol.dispose]: () => {
      for (const at of doors.keys()) close(at);
    },
  };
}

function beside(listen: string, port: number): string {
  const { hostname } = endpointIn(listen);
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/** Where a node has no IPv6, all its addresses are those of IPv4. */
function opened(at: string, pages: Pages): Disposable {
  const { hostname, port } = endpointIn(at);
  if (hostname !== "::") return servePublic(at, pages);
  try {
    return servePublic(at, pages);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && (error.code === "EADDRNOTAVAIL" || error.code === "EAFNOSUPPORT"))) throw error;
    return servePublic(`0.0.0.0:${port}`, pages);
  }
}

const told = (isGood: boolean, facts: object, headers: Page["headers"] = {}): Page => ({ status: isGood ? 200 : 503, type: "application/json", headers, body: `${JSON.stringify(facts)}\n` });

const nodePages = (isAlive: () => boolean, isLeaving: () => boolean): Pages => (path) => {
  const facts = { isAlive: isAlive(), isLeaving: isLeaving() };
  if (path === "/livez") return told(facts.isAlive, facts);
  return path === "/healthz" ? told(facts.isAlive && !facts.isLeaving, facts) : undefined;
};

const servicePages = ({ namespace, name, localEndpoints }: HealthCheck, isAlive: () => boolean): Pages => () =>
  told(localEndpoints > 0 && isAlive(), { service: { namespace, name }, localEndpoints, serviceProxyHealthy: isAlive() }, { "x-load-balancing-endpoint-weight": String(localEndpoints) });
