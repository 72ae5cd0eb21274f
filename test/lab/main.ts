/**
 * Starts a lab by hand: `npm run lab [-- --no-card] [-- --systemd]`. Prints, as one JSON line, how to enter each host and see the card, and keeps the lab up until its input ends or it
 * is signalled. A line of input acts on it: `card remove`, `card insert`, `card tries 3`, `card delay 1000`, `card state`, `link cut`, `link restore`, `link drop`, `link end-drop`.
 */
import { createInterface } from "node:readline";
import { actOnLab } from "./act-on-lab.ts";
import { startLab } from "./lab.ts";

const wantsCard = !process.argv.includes("--no-card");
const jumpInit = process.argv.includes("--systemd") ? "systemd" : "shell";
const lab = await startLab({ targets: 2, jumpInit, ...(wantsCard ? {} : { card: false as const }) });
const hosts = lab.hosts.map((host) => [host.name, { pid: host.initPid, enter: host.enterCommand.join(" ") }]);
console.log(JSON.stringify({ ...Object.fromEntries(hosts), shared: lab.shared, card: lab.cardEnvironment }));
await new Promise<void>((resolve) => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  createInterface({ input: process.stdin })
    .on("line", (line) => {
      void actOnLab(lab, line.trim()).then(
        (answer) => console.log(answer),
        (error: unknown) => console.log(error instanceof Error ? error.message : String(error)),
      );
    })
    .once("close", () => resolve());
});
await lab.close();
process.exit(0);
