import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Host } from "./host.ts";

const run = promisify(execFile);

/** Joins two hosts by a cable of their own: nobody else is on it, and nothing is routed on. Both ends have a name. */
export async function link(a: Host, aName: string, b: Host, bName: string): Promise<void> {
  // Made straight inside the two hosts, so that the machine's own network never sees them.
  await run("ip", [
    ...["link", "add", aName, "netns", String(a.initPid), "type", "veth"],
    ...["peer", "name", bName, "netns", String(b.initPid)],
  ]);
  await Promise.all([configure(a, aName, b.address), configure(b, bName, a.address)]);
}

async function configure(host: Host, name: string, peer: string): Promise<void> {
  const commands = [`addr add ${host.address} peer ${peer} dev ${name}`, `link set ${name} up`];
  await host.run(["ip", "-batch", "-"], { input: `${commands.join("\n")}\n` });
}

/** Drops every packet in and out of `link` without a word, as a dead network does. */
export async function blackhole(host: Host, link: string): Promise<void> {
  const rules = [
    "table inet lab_blackhole {",
    `chain in { type filter hook input priority 0; iifname "${link}" drop; }`,
    `chain out { type filter hook output priority 0; oifname "${link}" drop; }`,
    "}",
  ];
  await host.run(["nft", "-f", "-"], { input: `${rules.join("\n")}\n` });
}

export async function endBlackhole(host: Host): Promise<void> {
  await host.run(["nft", "delete", "table", "inet", "lab_blackhole"]);
}
