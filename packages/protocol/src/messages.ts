/**
 * Every message that orchestrator and agent exchange. This table is the single source of validation on both ends, of
 * the static types, of the handlers each side must have, and of the tables in docs/protocol.md (a test compares them).
 */
import {
  agentEnding,
  agentWarning,
  describeAgent,
  detachAgent,
  eventsDropped,
  openMetrics,
  renewLease,
  stopAgent,
} from "./agent-messages.ts";
import { commandInput, commandOutput, resizeCommand, runCommand, signalCommand } from "./command-messages.ts";
import type { ParamsOf } from "./define.ts";
import { closeForward, forwardChanged, forwardTakenOver, openForward } from "./forward-messages.ts";
import { agentHello, orchestratorHello } from "./hello-messages.ts";
import { hopConnected, hopLost, readyIdentity, signWithIdentity } from "./hop-messages.ts";
import { describeHost, probeBind, probeRoute } from "./probe-messages.ts";
import { relayClosed, relayOpened, relayRefused } from "./relay-messages.ts";

export * from "./agent-messages.ts";
export * from "./command-messages.ts";
export * from "./forward-messages.ts";
export * from "./forward-state.ts";
export * from "./hello-messages.ts";
export * from "./hop-messages.ts";
export {
  admission,
  type BindAddress,
  bindAddress,
  type HopDeclaration,
  hopDeclaration,
  type TargetAddress,
  targetAddress,
} from "./message-parts.ts";
export * from "./probe-messages.ts";
export * from "./relay-messages.ts";
export { leg, wireError } from "./wire-error.ts";

/** All requests, by who must answer them. */
export const requestsToAgent = [
  openForward,
  closeForward,
  renewLease,
  describeAgent,
  openMetrics,
  detachAgent,
  stopAgent,
  runCommand,
  commandInput,
  signalCommand,
  probeBind,
  probeRoute,
  describeHost,
] as const;
export const requestsToOrchestrator = [signWithIdentity, readyIdentity, commandOutput] as const;
/** All events, by who must take them. */
export const eventsToOrchestrator = [
  agentHello,
  hopConnected,
  hopLost,
  forwardChanged,
  forwardTakenOver,
  relayOpened,
  relayClosed,
  relayRefused,
  agentWarning,
  eventsDropped,
  agentEnding,
] as const;
export const eventsToAgent = [orchestratorHello, resizeCommand] as const;

export type OpenForwardParams = ParamsOf<typeof openForward>;
export type SignParams = ParamsOf<typeof signWithIdentity>;
