import { Scope } from "@farside/protocol";
import type { Forwarder, RunningForwarder } from "../forwarders/forwarder.ts";
import type { Measured, Sample } from "../sample.ts";
import { interleave } from "./interleave.ts";
import type { SuiteContext } from "./suite.ts";

/** Starts every forwarder, measures them in turns while all of them stay up, and ends them. */
export async function measureRunning(
  context: SuiteContext,
  forwarders: readonly Forwarder[],
  cases: readonly string[],
  measure: (running: RunningForwarder, name: string) => Promise<Measured>,
): Promise<Sample[]> {
  await using scope = new Scope();
  const ways: { readonly name: string; readonly running: RunningForwarder }[] = [];
  for (const forwarder of forwarders) {
    context.progress(`starting ${forwarder.name}`);
    const running = await forwarder.start(context.bench);
    ways.push({ name: forwarder.name, running: scope.use(running) });
  }
  return await interleave({
    ways,
    cases,
    rounds: context.rounds,
    progress: context.progress,
    measure: ({ running }, name) => measure(running, name),
  });
}
