/** What is said to an agent that is installed on a build server, and to the installer that puts it there. */
import * as v from "valibot";
import { defineRequest, type ResultOf } from "../define.ts";
import { forwardState } from "../forward-state.ts";
import { MAX_AUDIT_CHUNK_BYTES, MAX_FORWARDS, MAX_HOPS } from "../limits.ts";
import { bindAddress, bytes, count, name, publicKeyBlob, text } from "../message-parts.ts";
import { wireError } from "../wire-error.ts";
import { agentName, installedConfig } from "./installed-config.ts";

const digest = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const run = v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/));
const path = v.pipe(text, v.startsWith("/"));
/** A line of an audit log, and its hash. */
const auditPlace = v.object({ seq: v.pipe(count, v.minValue(1)), hash: digest });
const hopIds = v.pipe(v.array(name), v.maxLength(MAX_FORWARDS * MAX_HOPS));

const keptForward = v.object({
  id: name,
  bound: v.pipe(v.array(bindAddress), v.maxLength(8)),
  state: forwardState,
  openRelays: count,
  totalRelays: count,
});
export type KeptForwardState = v.InferOutput<typeof keptForward>;

const change = v.object({
  id: name,
  change: v.picklist(["added", "removed", "changed", "unchanged"]),
  error: v.optional(wireError),
});

/** What an installed agent has been told to do, and how far it is. */
export const describeInstalled = defineRequest("installed.describe", {
  asker: "orchestrator",
  since: 1,
  params: v.object({}),
  result: v.object({
    config: installedConfig,
    forwards: v.pipe(v.array(keptForward), v.maxLength(MAX_FORWARDS)),
    /** False for the new process of an upgrade, until it has taken over. */
    isServing: v.boolean(),
    /** Hops that wait for somebody to attach. */
    waitingHops: hopIds,
    /** How many are attached. */
    lenders: count,
    /** The newest line of its audit log. */
    audit: v.optional(auditPlace),
    /** The port for metrics, where there is to be one: what it listens on, or why it does not (yet). */
    metrics: v.optional(
      v.object({ bound: v.pipe(v.array(bindAddress), v.maxLength(8)), error: v.optional(wireError) }),
    ),
  }),
});
export type InstalledDescription = ResultOf<typeof describeInstalled>;

/** Do what `config` says from now on. Relays of forwards that are the same in both go on; those of others have `graceMs`. Answered when each new listener is open or has failed. */
export const applyConfig = defineRequest("installed.apply", {
  asker: "orchestrator",
  since: 1,
  params: v.object({ config: installedConfig, graceMs: count }),
  result: v.object({
    changes: v.pipe(v.array(change), v.maxLength(2 * MAX_FORWARDS)),
    /** Why the port for metrics is not open; it is tried again. */
    metricsError: v.optional(wireError),
  }),
});

/** For as long as this channel lives, ask it for signatures for these hops: `identity.sign`, decided on at the other end. */
export const lendIdentity = defineRequest("identity.lend", {
  asker: "orchestrator",
  since: 1,
  params: v.object({
    hops: v.pipe(
      v.array(
        v.object({
          hopId: name,
          publicKeys: v.pipe(v.array(publicKeyBlob), v.minLength(1), v.maxLength(16)),
        }),
      ),
      v.maxLength(MAX_FORWARDS * MAX_HOPS),
    ),
  }),
  result: v.object({ waitingHops: hopIds }),
});

/** Hand all listeners over to the bundle at `bundle`, which is started for that. Answered when it has them and listens on the control socket; the old one ends when the new one is ready and its relays are over, at the latest after `graceMs`. */
export const upgradeInstalled = defineRequest("installed.upgrade", {
  asker: "orchestrator",
  since: 1,
  params: v.object({ bundle: path, graceMs: count }),
  result: v.object({
    pid: v.pipe(count, v.minValue(1)),
    /** The new one's control socket until it serves; then it takes the old one's place. */
    control: path,
  }),
});

const supervisor = v.picklist(["systemd", "daemon"]);
const installation = v.object({
  name: agentName,
  /** Its folder; everything of it is in here but what `files` names besides. */
  folder: path,
  run,
  supervisor,
  /** SHA-256 of the bundle that it starts with. */
  digest,
  config: v.optional(installedConfig),
  /** What the service manager says, or what the lock shows. */
  state: text,
  isRunning: v.boolean(),
  /** Everything that was made, the files in its folder included. */
  files: v.pipe(v.array(path), v.maxLength(64)),
});
export type Installation = v.InferOutput<typeof installation>;

/** What is, or would be, installed here. Asked of the installer. */
export const lookAtHost = defineRequest("install.look", {
  asker: "orchestrator",
  since: 1,
  params: v.object({ name: agentName }),
  result: v.object({
    user: name,
    /** What would run the agent. */
    supervisor,
    /** Why it is not systemd. */
    whyNot: v.optional(text),
    hasSystemd: v.boolean(),
    /** The user's services outlive the last login, and come up with the host. */
    isLingering: v.boolean(),
    /** Of the agent `name`, there already or to be made. */
    folder: path,
    control: path,
    /** What `install.put` would make. */
    files: v.pipe(v.array(path), v.maxLength(64)),
    installed: v.pipe(v.array(installation), v.maxLength(64)),
  }),
});
export type HostLook = ResultOf<typeof lookAtHost>;

/** Put the bundle that the installer is, the configuration and the unit there, and start the agent. Answered when it runs. Undone where it does not come up. */
export const putAgent = defineRequest("install.put", {
  asker: "orchestrator",
  since: 1,
  params: v.object({ config: installedConfig, run, supervisor }),
  result: v.object({ control: path, digest }),
});

/** Put the bundle that the installer is beside the one that runs. */
export const putBundle = defineRequest("install.put-bundle", {
  asker: "orchestrator",
  since: 1,
  params: v.object({ name: agentName }),
  result: v.object({ bundle: path, digest, isCurrent: v.boolean() }),
});

/** Stop the agent and remove everything of it. */
export const removeAgent = defineRequest("install.remove", {
  asker: "orchestrator",
  since: 1,
  params: v.object({ name: agentName }),
  result: v.object({ removed: v.pipe(v.array(path), v.maxLength(128)) }),
});

/** The command line that shows the log of the agent, or of a session's agent that outlives its connection, for `command.run`. */
export const logCommand = defineRequest("install.log", {
  asker: "orchestrator",
  since: 1,
  params: v.object({
    name: agentName,
    lines: v.pipe(count, v.maxValue(100_000)),
    follow: v.boolean(),
    /** Whose log instead of the agent's that is installed. */
    session: v.optional(name),
  }),
  result: v.object({ argv: v.pipe(v.array(text), v.minLength(1), v.maxLength(32)) }),
});

/**
 * Take hold of the agent's audit log as it is now: all its files, between two of its lines. Answered with how many bytes they are,
 * oldest file first. What was held before is let go of.
 */
export const holdAudit = defineRequest("install.audit", {
  asker: "orchestrator",
  since: 1,
  params: v.object({ name: agentName }),
  result: v.object({
    bytes: count,
    /** What the agent has kept of its newest line. */
    head: v.optional(auditPlace),
  }),
});

/** Bytes of the audit log that is held. Empty at its end. */
export const readHeldAudit = defineRequest("install.audit-read", {
  asker: "orchestrator",
  since: 1,
  params: v.object({
    offset: count,
    length: v.pipe(count, v.minValue(1), v.maxValue(MAX_AUDIT_CHUNK_BYTES)),
  }),
  result: v.object({ data: bytes(MAX_AUDIT_CHUNK_BYTES) }),
});

/** Requests to an installed agent. */
export const installedRequests = [describeInstalled, applyConfig, lendIdentity, upgradeInstalled] as const;
/** Requests to the installer. */
export const installerRequests = [
  lookAtHost,
  putAgent,
  putBundle,
  removeAgent,
  logCommand,
  holdAudit,
  readHeldAudit,
] as const;
