import { readFile } from "node:fs/promises";
import { AuditFiles, AuditTrail, type ChainHead } from "@farside/protocol/audit";
import * as v from "valibot";
import { makeStateFolder, stateFolder } from "../state-folder.ts";

/** Which installed agent's audit log. */
export interface HostAudit {
  /** `user@host` of the build server. */
  readonly host: string;
  readonly agent: string;
}

const hostAuditLine = v.object({
  event: v.literal("host-audit"),
  host: v.string(),
  agent: v.string(),
  line: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  hash: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
});

/** An agent's log begins with its installation, and goes with it: what was seen of an earlier one's says nothing of it. */
const installedLine = v.object({ event: v.literal("installed"), host: v.string(), agent: v.string() });

/** Writes down, in this workstation's own log, that an agent was installed: its audit log begins. Rejects as `makeStateFolder`. */
export async function noteInstalled(
  { host, agent }: HostAudit,
  digest: string,
  root: string = stateFolder(),
): Promise<void> {
  await makeStateFolder(root);
  await using trail = new AuditTrail({ folder: root });
  trail.append({ event: "installed", host, agent, digest });
}

/** Writes down, in this workstation's own log, the newest line of an installed agent's: what is behind it can't be rewritten unseen. Rejects as `makeStateFolder`. */
export async function noteHostAudit(
  { host, agent }: HostAudit,
  { seq, hash }: ChainHead,
  root: string = stateFolder(),
): Promise<void> {
  await makeStateFolder(root);
  await using trail = new AuditTrail({ folder: root });
  trail.append({ event: "host-audit", host, agent, line: seq, hash });
}

/** The places of that log that this workstation has written down, oldest first, since it has last installed that agent. */
export async function knownHostPlaces(of: HostAudit, root: string = stateFolder()): Promise<ChainHead[]> {
  const files = new AuditFiles(root);
  const places: ChainHead[] = [];
  for (const path of [...(await files.listOlder()), files.current]) {
    const text = await readFile(path, "utf8").catch(() => "");
    for (const line of text.split("\n")) {
      if (!/"event":"(?:host-audit|installed)"/.test(line)) continue;
      const parsed = v.safeParse(v.union([hostAuditLine, installedLine]), parseJson(line));
      if (!parsed.success || parsed.output.host !== of.host || parsed.output.agent !== of.agent) continue;
      if (parsed.output.event === "installed") places.length = 0;
      else places.push({ seq: parsed.output.line, hash: parsed.output.hash });
    }
  }
  return places;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
