import type { LabProcess } from "../lab/lab-process.ts";
import { waitFor } from "./wait-for.ts";

const RESOLUTION_MS = 10;
const PROGRAM = `
import { monitorEventLoopDelay } from "node:perf_hooks";
const delays = monitorEventLoopDelay({ resolution: ${RESOLUTION_MS} });
delays.enable();
const tell = () => {
  const late = (ns) => Math.max(0, ns / 1e6 - ${RESOLUTION_MS});
  process.stderr.write("lag " + JSON.stringify({ p99: late(delays.percentile(99)), max: late(delays.max) }) + "\\n");
  delays.reset();
};
process.on("SIGUSR2", tell);
process.once("exit", tell);
`;

/** For `node --import`: says on stderr, at each SIGUSR2 and at the end, how late the event loop was since the last. */
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
