import { DEFAULTS } from "@farside/orchestrator";
import { toCodedError } from "@farside/protocol";
import { exitCodeOf } from "../exit-code.ts";
import { LineSink } from "../output/line-sink.ts";
import type { Attended } from "./run-forward.ts";

const FLUSH_MS = 2_000;

/** `--detach`: waits until the session is ready, leaves its agent running and prints its name. A signal before that ends it. */
export async function leaveRunning({ session, argv, context, reporter }: Attended): Promise<number> {
  const { interrupts, stdout } = context;
  const graceMs = argv.grace ?? DEFAULTS.graceMs;
  const off = interrupts.onStep((step) => {
    if (step === "kill") session.kill();
    else if (step === "hurry") session.escalate();
    else void session.close({ graceMs });
  });
  const failed = async (error: unknown) => {
    const { failure } = await session.close({ graceMs: 0 });
    const coded = failure ?? toCodedError(error);
    // What the session itself ends with has been told by its events.
    if (failure === undefined) reporter.error(coded);
    return exitCodeOf(coded, interrupts.first);
  };
  try {
    await session.ready;
    interrupts.signal.throwIfAborted();
    await session.detach({ signal: interrupts.signal });
  } catch (error) {
    return await failed(error);
  } finally {
    off();
  }
  if (argv.json !== true) {
    const answer = new LineSink(stdout);
    answer.write(session.name);
    await answer.flush(FLUSH_MS);
  }
  return 0;
}
