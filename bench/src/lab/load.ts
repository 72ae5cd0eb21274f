import { createInterface } from "node:readline";
import type { Host } from "@farside/test/lab/host";
import type { LabProcess } from "@farside/test/lab/lab-process";
import { within } from "@farside/test/support/wait-for";
import { PROGRAMS } from "./bench-lab.ts";

/** What the load generator says; see native/load.h. */
export interface LoadReport {
  readonly event: "measuring" | "done" | "open";
  readonly [number: string]: number | string;
}

/** A run of the load generator on the jump host, as the user whom forwards are for. */
export class Load implements AsyncDisposable {
  readonly process: LabProcess;
  readonly #reports: LoadReport[] = [];
  readonly #waiting: ((report: LoadReport) => void)[] = [];
  readonly #what: string;

  constructor(host: Host, address: string, command: readonly (string | number)[]) {
    const [name = "", port = ""] = address.split(":");
    this.#what = `load ${command.join(" ")} to ${address}`;
    this.process = host.spawn([`${PROGRAMS}/load`, name, port, ...command.map(String)], { user: "builder" });
    createInterface({ input: this.process.output }).on("line", (line) => {
      const report = JSON.parse(line) as LoadReport;
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#reports.push(report);
      else waiting(report);
    });
  }

  /** The next report, which has to be an `event`. */
  async next(event: LoadReport["event"], withinMs: number): Promise<LoadReport> {
    const early = this.#reports.shift();
    const report = early ?? (await within(this.#report(), withinMs, this.#what));
    if (report.event !== event) throw new Error(`${this.#what}: ${report.event} instead of ${event}`);
    return report;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.kill();
  }

  #report(): Promise<LoadReport> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(resolve);
      void this.process.exit.then(({ code }) =>
        reject(new Error(`${this.#what} ended with ${code}: ${this.process.stderr}`)),
      );
    });
  }
}

/** A number of a report. */
export function numberOf(report: LoadReport, name: string): number {
  const value = report[name];
  if (typeof value !== "number") throw new Error(`no ${name} in ${JSON.stringify(report)}`);
  return value;
}
