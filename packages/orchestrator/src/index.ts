// Everything a program or the command line needs to run sessions from a workstation

export { cardEvents } from "./card-events.ts";
export { commandEnvironment } from "./command-environment.ts";
export type { AgentBundle } from "./deploy.ts";
export { deployAndForward, startSession } from "./deploy-and-forward.ts";
export {
  type DeclaredHop,
  DestinationGuard,
  type GuardDecision,
  type RefusalReason,
} from "./destination-guard.ts";
// Looking whether a session would work
export { type Check, type CheckName, checkNames } from "./doctor/check.ts";
export { type DiagnoseOptions, diagnose } from "./doctor/diagnose.ts";
export type { SessionEventDraft, SessionEventListener } from "./event-log.ts";
export type { ForwardCounters } from "./forward-counters.ts";
export { DEFAULTS, type ForwardOptions, type IdentityContext, type LoginOptions } from "./forward-options.ts";
// What is written on the command line
export { type ForwardSpec, formatBind, formatTarget, parseForwardSpec } from "./forward-spec.ts";
export { formatHopSpec, type HopSpec, parseHopList, parseHopSpec } from "./hop-spec.ts";
export { type AskHostKey, type HostKeyCheck, parsePinnedKeys } from "./host-keys.ts";
export { type IdentityChoice, openIdentity } from "./identity-choice.ts";
// Logging in without a session
export { type JumpLogin, planJumpLogin } from "./jump-login.ts";
export type { LiveFacts } from "./live-facts.ts";
// Agents that stay on a build server
export { type AgentRecord, AgentStore } from "./persistent/agent-store.ts";
export { applyForwards, differenceTo } from "./persistent/apply-forwards.ts";
export { BuildServer, type BuildServerOptions } from "./persistent/build-server.ts";
export { type CompileOptions, compileForwards, DEFAULT_AGENT_NAME } from "./persistent/compile-forwards.ts";
export { controlOf, findInstallation } from "./persistent/find-installation.ts";
export { type ForwardsFileContent, forwardsFile } from "./persistent/forwards-file.ts";
export { type HostAudit, knownHostPlaces, noteHostAudit, noteInstalled } from "./persistent/host-audit.ts";
export type { HostPeer } from "./persistent/host-peer.ts";
export { type InstallAgentOptions, installAgent } from "./persistent/install-agent.ts";
export { attachedHops, type LendOptions, type Loan, lend } from "./persistent/lend-identity.ts";
export { readForwardsFile } from "./persistent/read-forwards-file.ts";
export { uninstallAgent } from "./persistent/uninstall-agent.ts";
export { type UpgradeResult, upgradeAgent } from "./persistent/upgrade-agent.ts";
export { verifyHostAudit } from "./persistent/verify-host-audit.ts";
export type { RemoteCommand, RunOptions } from "./remote-command.ts";
// A Node.js that was sent
export { type KeptRuntimes, keptRuntimes } from "./runtime/kept-runtimes.ts";
export type { RuntimeProgress, RuntimeShipment } from "./runtime/provide-runtime.ts";
export type { RuntimeMode } from "./runtime/runtime-choice.ts";
export { type CloseOptions, Session } from "./session.ts";
export type { SessionEnd } from "./session-end.ts";
export { loginOf } from "./session-login.ts";
export { checkSessionName } from "./session-name.ts";
export type { OpenForward } from "./session-plan.ts";
// Sessions of this workstation
export type { SessionRecord } from "./session-record.ts";
export type { SessionPhase, SessionState } from "./session-state.ts";
export { isLeftRunning, listSessions, readSession, type StoredSession } from "./session-store.ts";
// Many sessions of one program
export { SharedIdentity, type SharedIdentityOptions } from "./shared-identity.ts";
export { stateFolder } from "./state-folder.ts";
export { type TeardownHostOptions, teardownHost } from "./teardown-host.ts";
export { type TeardownOptions, teardownSession } from "./teardown-session.ts";
