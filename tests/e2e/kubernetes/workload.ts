/**
 * What runs on the cluster: a Deployment of small web servers, each of which answers with the address that it sees the
 * question come from. The image lies in every node's containerd, because there is no registry to pull it from.
 */
import { imageName } from "../../conformance/containerd/image.ts";
import { list, text } from "../../conformance/containerd/read.ts";
import type { Cluster } from "./cluster.ts";

export interface Pod {
  name: string;
  /** The node that it runs on. */
  node: string;
  /** As the API server knows them: IPv4, then IPv6. */
  ips: string[];
}

export const port = 8080;

/** As many pods as asked for, as evenly over the nodes as can be; a second call changes their number. Waits until all are ready. */
export async function deploy(cluster: Cluster, name: string, replicas: number): Promise<Pod[]> {
  await cluster.kubectl(["apply", "--filename=-"], { stdin: JSON.stringify(deployment(name, replicas)) });
  await cluster.kubectl(["rollout", "status", `deployment/${name}`, "--timeout=240s"], { timeoutMs: 250_000 });
  if (replicas === 0) await cluster.kubectl(["wait", "--for=delete", "pod", `--selector=app=${name}`, "--timeout=240s"], { timeoutMs: 250_000 });
  return podsOf(cluster, name);
}

/** The pods of a Deployment, by name. */
export async function podsOf(cluster: Cluster, name: string): Promise<Pod[]> {
  const found = list(await cluster.get("pods", `--selector=app=${name}`), "items");
  return found.map((pod) => ({
    name: text(pod, "metadata", "name"),
    node: text(pod, "spec", "nodeName"),
    ips: list(pod, "status", "podIPs").map((entry) => text(entry, "ip")),
  }));
}

/** One web server. The probe is the kubelet's: that a pod is ready says that its node reaches it. */
export function podSpec(more: object = {}): object {
  return {
    terminationGracePeriodSeconds: 1, // busybox is pid 1 of the pod, and heeds no SIGTERM
    containers: [{
      name: "web",
      image: imageName,
      command: ["sh", "-c", `echo "serving as $HOSTNAME"; exec httpd -f -p ${port} -h /www`],
      readinessProbe: { httpGet: { port, path: "/cgi-bin/peer" }, periodSeconds: 1 },
      ...more,
    }],
  };
}

function deployment(name: string, replicas: number): object {
  const labels = { app: name };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          topologySpreadConstraints: [{
            maxSkew: 1, topologyKey: "kubernetes.io/hostname", whenUnsatisfiable: "DoNotSchedule", labelSelector: { matchLabels: labels },
          }],
          ...podSpec(),
        },
      },
    },
  };
}

/** One row of what a pod found: an echo came back from `to` or not, and the address that the web server there saw. */
export interface Reached {
  from: string;
  to: string;
  echo: boolean;
  seen: string;
}

/** Asks every address from inside a pod, by ICMP and by TCP. */
export async function reachFrom(cluster: Cluster, pod: Pod, targets: readonly string[]): Promise<Reached[]> {
  const out = await cluster.kubectl(["exec", pod.name, "--", "sh", "-c", ask, "sh", String(port), ...targets], { timeoutMs: 120_000 });
  return rows(pod.name, out);
}

/** For a shell: port, then addresses; prints `address echo seen`, or `address silent` of one that is then not asked by TCP. */
export const ask = `port=$1; shift; for ip; do
  case $ip in *:*) host="[$ip]" ;; *) host=$ip ;; esac
  if ping -c 1 -W 2 "$ip" >/dev/null 2>&1; then echo "$ip echo $(wget -q -O - "http://$host:$port/cgi-bin/peer" 2>&1)"
  else echo "$ip silent"; fi
done`;

/** What `ask` printed, read. A server tells an IPv4 address in IPv6 clothes. */
export function rows(from: string, out: string): Reached[] {
  return out.trim().split("\n").map((line) => {
    const [to = "", echo, seen = ""] = line.split(" ");
    return { from, to, echo: echo === "echo", seen: seen.replace(/^\[(.*)\]$/, "$1").replace(/^::ffff:/, "") };
  });
}
