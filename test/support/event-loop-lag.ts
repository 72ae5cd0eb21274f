import type { LabProcess } from "../lab/lab-process.ts";
import { waitFor } from "./wait-for.ts";

const RESOLUTION_MS = 10;
// The second number of schedstat: how long the main thread was ready to run and had no CPU, in ns.
const PROGRAM = `
import { openSync, readSync } from "node:fs";
let schedstat;
try { schedstat = openSync("/proc/self/schedstat", "r"); } catch {}
const text = Buffer.alloc(100);
const waitedMs = () => schedstat === undefined ? 0
  : Number(text.toString("latin1", 0, readSync(schedstat, text, 0, text.length, 0)).split(" ")[1]) / 1e6;
let lates = [], last = performance.now(), waited = waitedMs();
const look = () => {
  const now = performance.now(), wait = waitedMs();
  lates.push(Math.max(0, now - last - (wait - waited) - ${RESOLUTION_MS}));
  last = now; waited = wait;
};
setInterval(look, ${RESOLUTION_MS}).unref();
const tell = () => {
  look();
  const sorted = lates.sort((a, b) => a - b);
  const p99 = sorted[Math.ceil(sorted.length * 0.99) - 1], max = sorted.at(-1);
  process.stderr.write("lag " + JSON.stringify({ p99, max }) + "\\n");
  lates = [];
};
process.on("SIGUSR2", tell);
process.once("exit", tell);
`;

/**
 * For `node --import`: says on stderr, at each SIGUSR2 and at the end, how late the event loop was since the last. What it was late because
 * others had the CPU is not counted, where the kernel tells.
 */
export const lagProbe = `data:text/javascript,${encodeURIComponent(PROGRAM)}`;

/** How late the event loop was, in ms. */
export interface Lag {
  readonly p99: number;
  readonly max: number;
}

/** What `lagProbe` in `program` says of the time since it was last asked; of the time until the end where it has ended. */
export async function lagOf(program: LabProcess): Promise<Lag> {
  const words = (): string[] => program.stderr.match(/^lag .*$/gm) ?? [];
  const said = words().length - (program.hasEnded ? 1 : 0);
  if (!program.hasEnded) await program.signal("SIGUSR2");
  const word = await waitFor(() => words()[said], { what: "the probe's word", detail: () => program.stderr });
  return JSON.parse(word.slice("lag ".length)) as Lag;
}
