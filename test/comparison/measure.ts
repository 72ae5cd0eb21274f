import { setTimeout as delay } from "node:timers/promises";
import { type Lab, startLab } from "../lab/lab.ts";
import { exchangeBytes, receivedBy, reportsOf, sentBy, startByteService } from "../support/byte-traffic.ts";
import { waitFor } from "../support/wait-for.ts";
import { Askpass, type Way } from "./way.ts";

/** How a run is ended from the workstation's side. */
export const endings = ["Ctrl-C", "kill -9", "cut link"] as const;
export type Ending = (typeof endings)[number];

export interface Measured {
  readonly pinEntries: number;
  readonly signatures: number;
  /** Over the workstation's link, from before the command to the end of the transfer. */
  readonly linkBytes: number;
  readonly payloadBytes: number;
  /** On the jump host, 20 s after the end: one line an item. */
  readonly left: readonly string[];
}

const SETTLE_MS = 20_000;
const PAYLOAD_BYTES = 64 * 1024 * 1024;

/** Runs one way in a lab of its own, moves 64 MiB each way through its port, ends it, and looks what is left. */
export async function measure(way: Way, ending: Ending): Promise<Measured> {
  await using lab = await startLab();
  const askpass = await Askpass.install(lab, lab.card.pin);
  await using service = await startByteService(lab.target, "4444", PAYLOAD_BYTES);
  await lab.card.resetCounters();
  // Files that the way itself needs on the jump host beforehand are the operator's, so they are put there first.
  const before = await lab.workstationBytes();
  await lab.jump.mark();
  await using run = await way.start(lab, askpass);
  const client = way.opensOn(lab);
  const isListening = async (): Promise<boolean> =>
    (await client.run(["ss", "-Hltn", "sport", "=", ":4444"])) !== "";
  await waitFor(isListening, { what: `${way.name}'s port`, withinMs: 30_000, detail: () => run.stderr });
  const reports = await exchangeBytes(client, "127.0.0.1:4444", { bytes: PAYLOAD_BYTES, streams: 1 });
  const seen = await waitFor(() => reportsOf(service.stdout).length > 0 && reportsOf(service.stdout), {
    what: "the service's report",
  });
  if (sentBy(reports).join() !== receivedBy(seen).join()) throw new Error(`${way.name} changed the bytes`);
  const linkBytes = (await lab.workstationBytes()) - before;
  const { signs } = await lab.card.counters();
  await end(lab, run, ending);
  await delay(SETTLE_MS);
  const { processes, listeners, files } = await lab.jump.residue();
  return {
    pinEntries: await askpass.prompts(),
    signatures: Object.values(signs).reduce((sum, count) => sum + count, 0),
    linkBytes,
    payloadBytes: 2 * PAYLOAD_BYTES,
    left: [
      ...processes.map((line) => `process ${line}`),
      ...listeners.map((line) => `listener ${line}`),
      ...files.filter((path) => !path.startsWith("/home/builder/.ssh/")).map((path) => `file ${path}`),
    ],
  };
}

async function end(lab: Lab, run: Awaited<ReturnType<Way["start"]>>, ending: Ending): Promise<void> {
  if (ending === "Ctrl-C") await run.signal("SIGINT");
  else if (ending === "kill -9") await run.signal("SIGKILL");
  else await lab.cutWorkstationLink();
}
