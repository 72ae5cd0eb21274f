import type { Host } from "@farside/test/lab/host";

/** What forwarders of a benchmark listen on. */
export const FIRST_PORT = 20_001;
const LAST_PORT = 20_999;

/**
 * Makes a host's network behave like an ordinary Debian's: CUBIC, which the kernel may not have as its default and a network
 * namespace can't choose, so it is set route by route. And enough ports for many short connections, but not those that
 * forwarders listen on: one that a client had would be taken.
 */
export async function makeNetworkOrdinary(host: Host): Promise<void> {
  const settings = [
    "net.ipv4.ip_local_port_range=10000 60999",
    `net.ipv4.ip_local_reserved_ports=${FIRST_PORT}-${LAST_PORT}`,
    "net.ipv4.tcp_tw_reuse=1",
  ];
  await host.run(["sysctl", "-q", "-w", ...settings]);
  await useCubic(host, []);
  await useCubic(host, ["table", "local"]);
}

async function useCubic(host: Host, table: readonly string[]): Promise<void> {
  const routes = (await host.run(["ip", "-4", "route", "show", ...table])).split("\n");
  for (const route of routes) {
    const words = route.trim().split(/\s+/).filter(Boolean);
    if (words.length === 0 || words[0] === "broadcast" || words.includes("congctl")) continue;
    // Of the routes to the host itself only those of its loopback: a cable's own may be there twice, and nobody uses them.
    if (words[0] === "local" && !words.includes("lo")) continue;
    await host.run(["ip", "-4", "route", "change", ...words, ...table, "congctl", "cubic"]);
  }
}

/** Forgets closed connections that the kernel still remembers: each would be a row in the tables that are read later. */
export async function forgetClosedConnections(hosts: readonly Host[]): Promise<void> {
  await Promise.all(hosts.map((host) => host.exec(["ss", "-K", "state", "time-wait"])));
}
