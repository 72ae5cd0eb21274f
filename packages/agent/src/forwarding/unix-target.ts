import { deadline } from "@farside/protocol";
import { connectSocket } from "./connect-socket.ts";
import { dialledStream, type Target } from "./target.ts";
import { targetFailure } from "./target-failure.ts";

const CONNECT_TIMEOUT_MS = 10_000;

/** A unix socket on the agent's own host. */
export function unixTarget(path: string): Target {
  const close = async () => {};
  return {
    label: path,
    connect: async () => {},
    async dial(signal) {
      const limit = deadline(CONNECT_TIMEOUT_MS, () => targetFailure({ code: "ETIMEDOUT" }, path), {
        signal,
      });
      try {
        return dialledStream(await connectSocket({ path }, limit.signal));
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        throw targetFailure(error, path);
      } finally {
        limit.release();
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
