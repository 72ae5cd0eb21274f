import { connectWithin, startConnecting } from "./connect-socket.ts";
import { dialledStream, type Target } from "./target.ts";
import { targetFailure } from "./target-failure.ts";

const CONNECT_TIMEOUT_MS = 10_000;

/** A unix socket on the agent's own host. */
export function unixTarget(path: string): Target {
  const close = async () => {};
  const tooSlow = () => targetFailure({ code: "ETIMEDOUT" }, path);
  return {
    label: path,
    connect: async () => {},
    async dial(signal) {
      try {
        const end = await connectWithin({ signal, timeoutMs: CONNECT_TIMEOUT_MS, tooSlow }, (events) =>
          startConnecting({ path }, events),
        );
        return dialledStream(end);
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        throw targetFailure(error, path);
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
