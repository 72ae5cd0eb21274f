import { abortable, type CodedError } from "@farside/protocol";
import type { ExecStream, Hop } from "@farside/ssh";
import { diagnoseSilence } from "../../silent-login.ts";
import { commandRefused, exitText, type StartPlace, startFailed, stdinEaten } from "../../start-failure.ts";
import type { SupervisorLines } from "./supervisor-lines.ts";

/** A login that has not come to its command by then is asked why; see `diagnoseSilence`. */
const SILENCE_MS = 2_500;
const FOLLOW_MS = 1_000;
/** What a host may print before it has told what is there. */
const MAX_OUTPUT_BYTES = 1024 * 1024;

export interface Hearing {
  readonly channel: ExecStream;
  readonly hop: Pick<Hop, "exec">;
  readonly signal: AbortSignal;
  readonly place: StartPlace;
}

/** Resolves when the supervisor has told what is there, or that there is no ssh. */
export async function hearSupervisor(
  lines: SupervisorLines,
  { channel, hop, signal, place }: Hearing,
): Promise<void> {
  const stop = () => channel.destroy();
  signal.addEventListener("abort", stop, { once: true });
  const hasSpoken = new AbortController();
  let diagnosis: CodedError | undefined;
  diagnoseSilence({ hop, afterMs: SILENCE_MS, followMs: FOLLOW_MS, signal: hasSpoken.signal })
    .then((silence) => {
      if (silence.kind === "unknown") return;
      diagnosis =
        silence.kind === "runs"
          ? stdinEaten(place)
          : commandRefused({ ...place, stderr: silence.channel.stderr }, "waits", silence.noise);
      channel.destroy();
    })
    .catch(() => {});
  let bytes = 0;
  try {
    for await (const chunk of channel.iterator({ destroyOnReturn: false })) {
      lines.push(chunk as Buffer);
      if (lines.hasRun) hasSpoken.abort();
      if (lines.has("facts") || lines.has("no-ssh")) return;
      bytes += (chunk as Buffer).length;
      if (bytes > MAX_OUTPUT_BYTES) throw startFailed(place, "its login prints without end", lines.noise);
    }
    if (diagnosis !== undefined) throw diagnosis;
    const { code, signal: killedBy } = await abortable(channel.exit, signal);
    const how = exitText(code, killedBy);
    throw lines.hasRun
      ? startFailed(place, `the command ${how}`, lines.noise)
      : commandRefused(place, how, lines.noise);
  } catch (error) {
    signal.throwIfAborted();
    throw diagnosis ?? error;
  } finally {
    hasSpoken.abort();
    signal.removeEventListener("abort", stop);
  }
}
