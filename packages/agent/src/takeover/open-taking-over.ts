import { setTimeout as wait } from "node:timers/promises";
import { type BindAddress, isCodedError } from "@farside/protocol";
import { formatEndpoint } from "../forwarding/format-endpoint.ts";
import type { Listener, ListenerOptions } from "../forwarding/listener.ts";
import { openListener } from "../forwarding/open-listener.ts";
import { isPortHeld, processOfPort, processOfUnixSocket } from "../forwarding/socket-holder.ts";
import { decideTakeover, type TakeoverReason, type TakeoverRequest } from "./decide-takeover.ts";
import { endHolder } from "./end-holder.ts";
import { proveAgent } from "./proven-agent.ts";
import { removeStaleSocket } from "./stale-socket.ts";

/** For how long a place that was made free is tried. */
const TIMEOUT_MS = 5_000;
const RETRY_MS = 20;
/** How often a place may be taken though nobody is seen to hold it. */
const MAX_VANISHED = 10;

/** Of whom a port was taken over. */
export interface TakenOver {
  /** `127.0.0.1:4444`, or a socket's path. */
  readonly address: string;
  /** Undefined for a socket that nobody listened on any more. */
  readonly from?: { readonly session: string; readonly pid: number } | undefined;
  readonly reason: TakeoverReason | "stale-socket";
}

export interface TakeoverContext {
  readonly uid: number;
  /** Undefined: nothing is taken over. */
  readonly request: TakeoverRequest | undefined;
  readonly onTaken: (taken: TakenOver) => void;
}

/**
 * Opens the listener that `bind` asks for. Where the port is held by an agent of this user that has no right to it any more (see
 * `decideTakeover`), or the socket is one that nobody listens on, it is taken over. Rejects as `openListener` does.
 */
export async function openTakingOver(
  bind: BindAddress,
  options: ListenerOptions,
  context: TakeoverContext,
): Promise<Listener> {
  const until = performance.now() + TIMEOUT_MS;
  let vanished = 0;
  for (;;) {
    try {
      return await openListener(bind, options);
    } catch (error) {
      const place = placeIn(error, bind);
      if (place === undefined || context.request === undefined || performance.now() > until) throw error;
      if (!(await makeRoom(place, context.request, context))) {
        // Whoever held it may have let go in between.
        const isHeld = place.kind === "unix" || (await isPortHeld(place.address, place.port));
        vanished += 1;
        if (isHeld || vanished > MAX_VANISHED) throw error;
      }
      await wait(RETRY_MS);
    }
  }
}

type Place =
  | { readonly kind: "tcp"; readonly address: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

function placeIn(error: unknown, bind: BindAddress): Place | undefined {
  if (!isCodedError(error) || error.code !== "forward.port-in-use") return undefined;
  if (bind.kind === "unix") return { kind: "unix", path: bind.path };
  const { address, port } = error.data ?? {};
  return typeof address === "string" && typeof port === "number" ? { kind: "tcp", address, port } : undefined;
}

/** Whether somebody was made to let go, so that it is worth another try. */
async function makeRoom(
  place: Place,
  request: TakeoverRequest,
  { uid, onTaken }: TakeoverContext,
): Promise<boolean> {
  const address = place.kind === "unix" ? place.path : formatEndpoint(place.address, place.port);
  if (place.kind === "unix" && (await removeStaleSocket(place.path, uid)) === "removed") {
    onTaken({ address, reason: "stale-socket" });
    return true;
  }
  const pid =
    place.kind === "unix"
      ? await processOfUnixSocket(place.path)
      : await processOfPort(place.address, place.port);
  const agent = pid === undefined ? undefined : await proveAgent(pid, uid);
  const reason = agent && decideTakeover(agent, request);
  if (agent === undefined || reason === undefined) return false;
  await endHolder(agent, { uid, session: request.session, address });
  onTaken({ address, from: { session: agent.session, pid: agent.pid }, reason });
  return true;
}
