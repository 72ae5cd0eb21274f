import { type CodedError, harmless, type SessionEvent } from "@farside/protocol";
import { hintFor } from "@farside/protocol/remedies";
import picocolors from "picocolors";
import { type Description, describeEvent, isDetail, type LogLevel } from "./describe-event.ts";
import type { LineSink } from "./line-sink.ts";
import { LiveLine, type LiveTerminal } from "./live-line.ts";
import { emptyTally, tallyAfter, tallyText } from "./relay-tally.ts";
import type { Reporter } from "./reporter.ts";

const severity = { error: 0, warn: 1, info: 2, debug: 3 } as const satisfies Record<LogLevel, number>;

export interface PeopleReporterOptions {
  readonly sink: LineSink;
  /** The terminal behind the sink, where it is one: it gets a spinner, a live line and, unless `color` is false, colours. */
  readonly terminal?: LiveTerminal | undefined;
  readonly color: boolean;
  readonly level: LogLevel;
  /** The session is left as soon as it is ready: Ctrl-C does not end it then. */
  readonly isLeft?: boolean | undefined;
}

/** What people read, on stderr: a line for every step and event, and on a terminal what is going on now below them. */
export class PeopleReporter implements Reporter {
  readonly #sink: LineSink;
  readonly #colors: ReturnType<typeof picocolors.createColors>;
  readonly #level: LogLevel;
  readonly #isLeft: boolean;
  readonly #live: LiveLine | undefined;
  #tally = emptyTally;
  #isReady = false;

  constructor(options: PeopleReporterOptions) {
    this.#sink = options.sink;
    this.#colors = picocolors.createColors(options.color);
    this.#level = options.level;
    this.#isLeft = options.isLeft === true;
    const shows = options.terminal !== undefined && severity[options.level] >= severity.info;
    this.#live = shows ? new LiveLine(options.terminal as LiveTerminal) : undefined;
  }

  step(text: string): void {
    if (this.#live !== undefined) this.#live.spin(harmless(text));
    else if (this.#shows("info")) this.#lines([`${harmless(text)} …`]);
  }

  progress(text: string): void {
    this.#live?.spin(harmless(text));
  }

  event(event: SessionEvent): void {
    const description =
      isDetail(event) && !this.#shows("debug") ? undefined : describeEvent(event, this.#isLeft);
    if (event.event === "ready") this.#isReady = true;
    // What was being done is done.
    if (["ready", "receipt", "error"].includes(event.event)) this.#live?.rest();
    if (description !== undefined) this.#describe(description);
    const tally = tallyAfter(this.#tally, event);
    if (this.#isReady && (tally !== this.#tally || event.event === "ready")) {
      this.#tally = tally;
      this.#showTally();
    }
    this.#tally = tally;
  }

  error(error: Pick<CodedError, "code" | "message" | "hint">): void {
    this.#describe({
      level: "error",
      tone: "error",
      text: `error[${error.code}]: ${error.message}`,
      hint: hintFor(error),
    });
  }

  /** Whether there is a live line with open relays in it, whose bytes `bytes` brings up to date. */
  get showsOpenRelays(): boolean {
    return this.#live !== undefined && this.#isReady && this.#tally.open > 0;
  }

  /** What went through all relays so far, those that are open included. */
  bytes(bytesIn: number, bytesOut: number): void {
    this.#tally = { ...this.#tally, bytesIn, bytesOut };
    this.#showTally();
  }

  warn(text: string): void {
    this.#describe({ level: "warn", tone: "warning", text });
  }

  log(level: LogLevel, text: string): void {
    if (this.#shows(level)) this.#lines([this.#colors.dim(harmless(text))]);
  }

  pause(): () => void {
    return this.#live?.pause() ?? (() => undefined);
  }

  close(): Promise<void> {
    this.#live?.close();
    return this.#sink.flush(1000);
  }

  #showTally(): void {
    this.#live?.show(this.#colors.green("●"), tallyText(this.#tally));
  }

  #shows(level: LogLevel): boolean {
    return severity[level] <= severity[this.#level];
  }

  #describe({ level, tone, text, items, hint }: Description): void {
    if (!this.#shows(level)) return;
    const { green, yellow, red, bold, dim } = this.#colors;
    const safe = harmless(text);
    const mark = this.#live === undefined ? "" : `${tone === "done" ? green("✔") : dim("·")} `;
    const line = {
      done: () => `${mark}${safe}`,
      note: () => `${mark}${dim(safe)}`,
      warning: () => `${yellow("warning:")} ${safe}`,
      // `error[code]:` stands out, the sentence is left as it is.
      error: () => safe.replace(/^error\[[^\]]*\]:/, (head) => bold(red(head))),
    }[tone]();
    const below = (items ?? []).map((item) => `  ${harmless(item)}`);
    if (hint !== undefined) below.push(`${this.#colors.cyan("hint:")} ${harmless(hint)}`);
    this.#lines([line, ...below]);
  }

  #lines(lines: readonly string[]): void {
    const write = () => {
      for (const line of lines) this.#sink.write(line, { droppable: true });
    };
    if (this.#live === undefined) write();
    else this.#live.above(write);
  }
}
