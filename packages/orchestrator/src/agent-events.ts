import {
  type AgentHello,
  agentEnding,
  agentWarning,
  CodedError,
  type DataOf,
  type EventHandler,
  eventsDropped,
  forwardChanged,
  forwardTakenOver,
  fromWire,
  harmless,
  hopConnected,
  hopLost,
  METRICS_PLACE,
  on,
  relayClosed,
  relayOpened,
  relayRefused,
} from "@farside/protocol";
import { fingerprint } from "@farside/ssh";
import { formatHop } from "./delegated-signing.ts";
import type { DeclaredHop } from "./destination-guard.ts";
import type { SessionEventDraft } from "./event-log.ts";
import type { ForwardCounters } from "./forward-counters.ts";
import { forwardFactsOf } from "./live-facts.ts";

const SHOWN_ADDRESS = 100;

export interface AgentEventsOptions {
  readonly host: string;
  readonly emit: (event: SessionEventDraft) => void;
  readonly hop: (hopId: string) => DeclaredHop | undefined;
  readonly counters: (forwardId: string) => ForwardCounters | undefined;
  readonly isMetricsAsked: () => boolean;
  /** The agent said something that can't be: it is broken or hostile. */
  readonly onLie: (error: CodedError) => void;
  /** Its last word, as the failure that it means for the session; undefined where we stopped it. */
  readonly onEnding: (failure: CodedError | undefined) => void;
}

/**
 * Takes the agent's events: checks that they speak of forwards and hops that were declared, counts, makes every text
 * harmless, and hands them on as the session's. What a hop is called and which key it may have showed is ours, not the agent's.
 */
export function agentEvents(options: AgentEventsOptions): readonly EventHandler[] {
  const { host, emit, onLie } = options;
  const lie = (what: string) =>
    onLie(new CodedError("protocol.bad-message", `the agent on ${host} reported ${what}`, { leg: "jump" }));

  const withForward = (forwardId: string, then: (counters: ForwardCounters) => void) => {
    const counters = options.counters(forwardId);
    if (counters === undefined) lie("a forward that it was not asked for");
    else then(counters);
  };

  const opened = (
    counters: ForwardCounters,
    { forwardId, relayId, peer, uid }: DataOf<typeof relayOpened>,
  ) => {
    counters.openRelays += 1;
    counters.totalRelays += 1;
    emit({
      event: "relay.open",
      forward: forwardId,
      relay: relayId,
      peer: harmless(peer, SHOWN_ADDRESS),
      uid,
    });
  };

  return [
    on(hopConnected, ({ hopId, hostKey }) => {
      const hop = options.hop(hopId);
      if (hop === undefined) return lie("a hop that it was not asked for");
      if (!hop.hostKeys.some((key) => Buffer.compare(key, hostKey) === 0)) {
        return lie(`a login to ${formatHop(hop)} with a host key that was not declared`);
      }
      const { user, host, port } = hop;
      emit({ event: "hop.connected", leg: "hop", user, host, port, hostKey: fingerprint(hostKey) });
    }),
    on(hopLost, ({ hopId, error }) => {
      const hop = options.hop(hopId);
      if (hop === undefined) return lie("a hop that it was not asked for");
      const message = `the connection to ${formatHop(hop)} is gone: ${harmless(error.message)}`;
      emit({
        event: "warning",
        message,
        hint: "It is dialled again, and when a connection needs it.",
        leg: "hop",
      });
    }),
    on(forwardChanged, ({ forwardId, state }) =>
      withForward(forwardId, () =>
        emit({ event: "forward.state", forward: forwardId, ...forwardFactsOf(state) }),
      ),
    ),
    on(forwardTakenOver, ({ forwardId, address, from, reason }) => {
      const tell = () =>
        emit({
          ...{ event: "forward.taken-over", forward: forwardId, address: harmless(address), reason },
          ...(from && { session: harmless(from.session, 64), pid: from.pid }),
        });
      if (forwardId === METRICS_PLACE && options.isMetricsAsked()) tell();
      else withForward(forwardId, tell);
    }),
    on(relayOpened, (relay) => withForward(relay.forwardId, (counters) => opened(counters, relay))),
    on(relayClosed, ({ forwardId, relayId, peer, error, isWhole, ...rest }) =>
      withForward(forwardId, (counters) => {
        if (isWhole === true) opened(counters, { forwardId, relayId, peer, uid: rest.uid });
        counters.openRelays = Math.max(0, counters.openRelays - 1);
        counters.bytesIn += rest.bytesIn;
        counters.bytesOut += rest.bytesOut;
        const { uid, bytesIn, bytesOut, durationMs, reason } = rest;
        emit({
          event: "relay.close",
          forward: forwardId,
          relay: relayId,
          peer: harmless(peer, SHOWN_ADDRESS),
          ...{ uid, bytesIn, bytesOut, durationMs, reason },
          ...(error && { code: harmless(error.code, 64), message: harmless(error.message) }),
          ...(error?.leg && { leg: error.leg }),
        });
      }),
    ),
    on(relayRefused, ({ forwardId, peer, uid, hint }) =>
      withForward(forwardId, (counters) => {
        counters.refusedRelays += 1;
        emit({
          event: "relay.refused",
          forward: forwardId,
          peer: harmless(peer, SHOWN_ADDRESS),
          uid,
          hint: harmless(hint),
        });
      }),
    ),
    on(agentWarning, ({ message, hint, leg }) =>
      emit({
        event: "warning",
        message: harmless(message),
        ...(hint !== undefined && { hint: harmless(hint) }),
        ...(leg !== undefined && { leg }),
      }),
    ),
    on(eventsDropped, ({ count }) => emit({ event: "dropped", count })),
    on(agentEnding, ({ reason, error }) => {
      const why = error === undefined ? undefined : fromWire({ ...error, message: harmless(error.message) });
      options.onEnding(reason === "stopped" ? undefined : endingFailure(reason, why, host));
    }),
  ];
}

/** The event that an agent answers. */
export function agentReady(
  { pid, node, agentVersion, digest }: AgentHello,
  host: string,
  deploy: { readonly bytes: number; readonly durationMs: number },
): SessionEventDraft {
  return {
    ...{ event: "agent.ready", host, pid, digest },
    ...{ node: harmless(node, 64), agentVersion: harmless(agentVersion, 64) },
    deploy: { method: "memory", ...deploy },
  };
}

/** What an agent that ends without being asked means. */
function endingFailure(reason: string, error: CodedError | undefined, host: string): CodedError {
  const detail = error === undefined ? "" : `: ${error.message}`;
  switch (reason) {
    case "ttl":
    case "idle": {
      const what = reason === "ttl" ? "its --ttl has passed" : "no relay was open for --idle";
      return new CodedError("session.limit-reached", `the agent on ${host} ended: ${what}`, { leg: "jump" });
    }
    case "lease-expired":
      return new CodedError(
        "lease.expired",
        `the agent on ${host} ended: it heard nothing for the time of its lease`,
        {
          leg: "jump",
          hint: "The connection was too slow or interrupted; a longer --lease may help.",
        },
      );
    case "signal":
      return new CodedError("agent.gone", `the agent on ${host} was ended by a signal${detail}`, {
        leg: "jump",
      });
    default:
      return new CodedError("agent.gone", `the agent on ${host} ended by itself (${reason})${detail}`, {
        leg: "jump",
      });
  }
}
