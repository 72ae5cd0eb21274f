import type { Host } from "@farside/test/lab/host";
import { LabProcess } from "@farside/test/lab/lab-process";
import { waitFor } from "@farside/test/support/wait-for";
import { pathOf } from "./native.ts";

const MTU = "9000";
/** Packets that a device queues; the default drops at rates that the line itself could carry. */
const QUEUE_PACKETS = "20000";

/**
 * A long way between two hosts that are joined by a cable: while it is up, what they send each other takes `roundTripMs`
 * there and back. Closing it puts the cable's routes back.
 */
export class DelayLine implements AsyncDisposable {
  readonly #process: LabProcess;
  readonly #undo: () => Promise<void>;

  static async between(a: Host, b: Host, roundTripMs: number): Promise<DelayLine> {
    const argv = [pathOf("delay-line"), a.initPid, "far", b.initPid, "far", roundTripMs / 2].map(String);
    const process = LabProcess.start(["env", "--"], argv);
    await waitFor(() => process.stdout.includes("ready"), {
      what: "the delay line",
      detail: () => process.stderr,
    });
    const before = await Promise.all([routeTo(a, b), routeTo(b, a)]);
    await Promise.all([takeLine(a, b), takeLine(b, a)]);
    return new DelayLine(process, async () => {
      await a.run(["ip", "route", "replace", ...before[0]]);
      await b.run(["ip", "route", "replace", ...before[1]]);
    });
  }

  private constructor(process: LabProcess, undo: () => Promise<void>) {
    this.#process = process;
    this.#undo = undo;
  }

  async close(): Promise<void> {
    await this.#undo();
    await this.#process.kill();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

async function takeLine(from: Host, to: Host): Promise<void> {
  await from.run(["ip", "link", "set", "far", "mtu", MTU, "txqueuelen", QUEUE_PACKETS, "up"]);
  const route = [to.address, "dev", "far", "src", from.address, "congctl", "cubic"];
  await from.run(["ip", "route", "replace", ...route]);
}

async function routeTo(from: Host, to: Host): Promise<string[]> {
  const line = await from.run(["ip", "-4", "route", "show", to.address]);
  return line.trim().split(/\s+/);
}
