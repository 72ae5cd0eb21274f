import { type Duplex, duplexPair } from "node:stream";
import type { Ssh2Internals } from "./ssh2-internals.ts";

/** Connections to the lent agent at a time; ssh(1) needs one for each host that it logs in to. */
const maxConnections = 16;

/**
 * Makes `serve` the ssh-agent that the host may connect to, from the next command with `agentForward` on. What it says no
 * to, and more than 16 at a time, is refused on the wire.
 */
export function lendAgent(client: Ssh2Internals, serve: (connection: Duplex) => boolean): void {
  let open = 0;
  client._agent = {
    getStream(done) {
      if (open >= maxConnections) return done(new Error("too many connections to the agent"));
      const [far, near] = duplexPair();
      // ssh2 pipes the far end and takes no notice of what becomes of it.
      far.on("error", () => near.destroy());
      near.once("close", () => {
        open -= 1;
        far.destroy();
      });
      far.once("close", () => near.destroy());
      open += 1;
      if (serve(near)) return done(undefined, far);
      near.destroy();
      done(new Error("not wanted"));
    },
  };
}
