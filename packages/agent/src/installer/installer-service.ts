import {
  CodedError,
  handle,
  holdAudit,
  logCommand,
  lookAtHost,
  putAgent,
  putBundle,
  type RequestHandler,
  readHeldAudit,
  removeAgent,
} from "@farside/protocol";
import type { RunDirectoryFacts } from "../control/run-directory.ts";
import type { HostFacts } from "../host-facts.ts";
import { type AgentPlaces, agentPlaces, bundlePath, type FolderFacts } from "../installed/agent-folder.ts";
import { type InstallRecord, readInstallRecord } from "../installed/install-record.ts";
import { unitName } from "../installed/unit-text.ts";
import { HeldAudit } from "./held-audit.ts";
import { installAgent, putBundleAt } from "./install-agent.ts";
import { installationAt, lookAt } from "./look-at-host.ts";
import { removeAgentAt } from "./remove-agent.ts";
import type { ServiceManager } from "./service-manager.ts";
import { sessionLog } from "./session-log.ts";

export interface InstallerOptions {
  readonly facts: HostFacts;
  readonly folders: FolderFacts;
  /** Where agents of sessions are. */
  readonly runFacts: RunDirectoryFacts;
  readonly manager: ServiceManager;
  /** The agent's file: this very bundle. */
  readonly bundle: Uint8Array;
}

async function removeInstalled(places: AgentPlaces, manager: ServiceManager): Promise<void> {
  const record = await readInstallRecord(places);
  if (record !== undefined) await removeAgentAt(places, record, manager);
}

/** One handler for each request that the installer answers. */
export function installerService(options: InstallerOptions): RequestHandler[] {
  const { folders, manager, bundle, facts } = options;
  const installed = async (name: string): Promise<{ places: AgentPlaces; record: InstallRecord }> => {
    const places = agentPlaces(name, folders);
    const record = await readInstallRecord(places);
    if (record !== undefined) return { places, record };
    throw new CodedError(
      "agent.not-installed",
      `looking for the agent ${name}: none is installed under that name`,
      {
        leg: "jump",
        hint: "farside agent status shows which are.",
      },
    );
  };
  let held: HeldAudit | undefined;
  return [
    handle(lookAtHost, ({ name }) => lookAt(name, options)),
    handle(putAgent, async ({ config, run, supervisor }, { signal }) => {
      const places = agentPlaces(config.name, folders);
      if ((await readInstallRecord(places)) !== undefined)
        throw new CodedError(
          "config.invalid",
          `installing the agent ${config.name}: one of that name is installed`,
          {
            leg: "jump",
            hint: "Change it with farside agent apply, or give the new one another name in forwards.yaml.",
          },
        );
      const digest = await installAgent({ places, config, run, supervisor, bundle, facts, manager });
      // Whoever asked is gone: nobody would know of it.
      if (signal.aborted) await removeInstalled(places, manager);
      return { control: places.control, digest };
    }),
    handle(putBundle, async ({ name }) => {
      const { places } = await installed(name);
      const before = await installationAt(places, manager);
      const digest = await putBundleAt(places, bundle);
      return { bundle: bundlePath(places, digest), digest, isCurrent: before?.digest === digest };
    }),
    handle(removeAgent, async ({ name }) => {
      const { places, record } = await installed(name);
      return { removed: await removeAgentAt(places, record, manager) };
    }),
    handle(holdAudit, async ({ name }) => {
      const { places } = await installed(name);
      await held?.[Symbol.asyncDispose]();
      held = undefined;
      held = await HeldAudit.hold(places.folder);
      const { bytes, head } = held;
      return { bytes, ...(head && { head }) };
    }),
    handle(readHeldAudit, async ({ offset, length }) => {
      if (held === undefined) throw new CodedError("protocol.bad-message", "no audit log is held");
      return { data: await held.read(offset, length) };
    }),
    handle(logCommand, async ({ name, lines, follow, session }) => {
      if (session !== undefined) {
        const log = await sessionLog(session, options.runFacts);
        return { argv: ["tail", "-n", String(lines), ...(follow ? ["-F"] : []), log] };
      }
      const { places, record } = await installed(name);
      const count = String(lines);
      const runtime = `XDG_RUNTIME_DIR=/run/user/${facts.uid}`;
      const argv =
        record.supervisor === "systemd"
          ? [
              "env",
              runtime,
              "journalctl",
              "--user",
              "-u",
              unitName(name),
              "-n",
              count,
              "-o",
              "cat",
              "-q",
              ...(follow ? ["-f"] : ["--no-pager"]),
            ]
          : ["tail", "-n", count, ...(follow ? ["-F"] : []), places.log];
      return { argv };
    }),
  ];
}
