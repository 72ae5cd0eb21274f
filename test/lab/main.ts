/**
 * Starts a lab by hand: `npx tsx --conditions=@farside/source test/lab/main.ts [--no-card] [--systemd]`. Prints, as one JSON line, how to enter each host and see the card, and keeps the
 * lab up until its input ends or it is signalled.
 */
import { startLab } from "./lab.ts";

const wantsCard = !process.argv.includes("--no-card");
const jumpInit = process.argv.includes("--systemd") ? "systemd" : "shell";
const lab = await startLab({ targets: 2, jumpInit, ...(wantsCard ? {} : { card: false as const }) });
const hosts = lab.hosts.map((host) => [host.name, { pid: host.initPid, enter: host.enterCommand.join(" ") }]);
console.log(JSON.stringify({ ...Object.fromEntries(hosts), shared: lab.shared, card: lab.cardEnvironment }));
await new Promise<void>((resolve) => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  process.stdin.resume().once("end", () => resolve());
});
await lab.close();
process.exit(0);
