import { createHash } from "node:crypto";
import { readdir, readFile, realpath, rename, rm, symlink } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { CodedError, type InstalledConfig, installedConfig, toCodedError } from "@farside/protocol";
import * as v from "valibot";
import { exitCodeOf } from "../agent-end.ts";
import { liveAs, prepareProcess } from "../agent-process.ts";
import { readHostFacts } from "../host-facts.ts";
import { Log } from "../log.ts";
import { installedTitle } from "../takeover/agent-title.ts";
import { type FolderPlaces, placesIn } from "./agent-folder.ts";
import { inherit, LISTENERS_VARIABLE } from "./inheritance.ts";
import { readInstallRecord } from "./install-record.ts";
import { InstalledAgent } from "./installed-agent.ts";
import { keepCodeCache, removeCodeCaches, SETTLED_MS, tookCodeCache } from "./keep-code-cache.ts";
import { notifySystemd } from "./notify-systemd.ts";
import { passLock } from "./process-lock.ts";
import { replaceFile } from "./replace-file.ts";
import { START_TEXT } from "./start-text.ts";
import type { SuccessorNews } from "./successor.ts";

/** How long a predecessor goes on serving what its successor has no hops for. */
const TAKE_OVER_TIMEOUT_MS = 60_000;

/** Runs the agent of `folder` in this process, to its end. */
export async function serve(folder: string): Promise<void> {
  const places = placesIn(folder);
  const log = new Log(process.stderr);
  prepareProcess(log);
  process.title = installedTitle(places.name);
  const inherited = inherit(process.env[LISTENERS_VARIABLE]);
  delete process.env[LISTENERS_VARIABLE];
  try {
    const bundle = await realpath(process.argv[1] ?? "");
    const record = await readInstallRecord(places);
    if (record === undefined)
      throw new CodedError("config.invalid", `${places.record} is not what was installed`);
    const agent = await InstalledAgent.start({
      ...{ places, log, inherited, run: record.run, home: os.homedir(), facts: readHostFacts() },
      digest: createHash("sha256")
        .update(await readFile(bundle))
        .digest("hex"),
      config: await readConfig(places),
    });
    process.on("SIGHUP", () => undefined);
    liveAs(agent, { log, signals: ["SIGTERM", "SIGINT"] });
    if (inherited !== undefined) await takeOver(agent, places, bundle, log);
    else {
      await agent.listened();
      await passLock(places.agentLock);
      await notifySystemd(["--ready"], log);
    }
    log.info("agent ready", {
      ...{ name: places.name, pid: process.pid, wasCompiled: tookCodeCache(globalThis) },
    });
    await wait(SETTLED_MS, undefined, { ref: false });
    await keepCodeCache(places, bundle, globalThis).catch((error: unknown) =>
      log.warn("what was compiled could not be kept", { error: String(error) }),
    );
  } catch (error) {
    const { code, message } = toCodedError(error);
    log.error("starting failed", { code, error: message });
    await tell({ news: "failed", why: message });
    process.exit(exitCodeOf({ reason: "fatal", error: toCodedError(error) }));
  }
}

/** Serves beside the predecessor until everything is there, then in its place: for systemd, for a restart, for everybody. */
async function takeOver(
  agent: InstalledAgent,
  places: FolderPlaces,
  bundle: string,
  log: Log,
): Promise<void> {
  const abandoned = () => agent.end({ reason: "fatal" });
  process.on("disconnect", abandoned);
  await tell({ news: "listening", control: agent.control });
  await agent.takeOver(TAKE_OVER_TIMEOUT_MS);
  await makeCurrent(places, bundle);
  await passLock(places.agentLock);
  await notifySystemd(["--ready", `--pid=${process.pid}`], log);
  process.off("disconnect", abandoned);
  await tell({ news: "ready" });
  process.channel?.unref();
}

/** A restart takes this bundle from now on; others are removed, with what was compiled of them. */
async function makeCurrent(places: FolderPlaces, bundle: string): Promise<void> {
  const { folder, program, start } = places;
  const own = path.basename(bundle);
  await rm(`${program}.new`, { force: true });
  await symlink(own, `${program}.new`);
  await rename(`${program}.new`, program);
  await replaceFile(start, START_TEXT);
  await removeCodeCaches(places);
  for (const file of await readdir(folder))
    if (/^agent-[0-9a-f]{16}\.cjs$/.test(file) && file !== own)
      await rm(path.join(folder, file), { force: true });
}

async function readConfig({ config }: FolderPlaces): Promise<InstalledConfig> {
  try {
    return v.parse(installedConfig, JSON.parse(await readFile(config, "utf8")));
  } catch (error) {
    throw new CodedError("config.invalid", `reading ${config}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function tell(news: SuccessorNews): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined || !process.connected) resolve();
    else process.send(news, undefined, undefined, () => resolve());
  });
}
