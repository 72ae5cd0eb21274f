import { readFile } from "node:fs/promises";
import { AuditFiles, AuditTrail, type ChainHead } from "@farside/protocol/audit";
import * as v from "valibot";
import { stateFolder } from "../session-store.ts";

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

/** Writes down, in this workstation's own log, the newest line of an installed agent's: what is behind it can't be rewritten unseen. */
export async function noteHostAudit(
  { host, agent }: HostAudit,
  { seq, hash }: ChainHead,
  root: string = stateFolder(),
): Promise<void> {
  const trail = new AuditTrail({ folder: root });
  trail.append({ event: "host-audit", host, agent, line: seq, hash });
  await trail.close();
}

/** The places of that log that this workstation has written down. */
export async function knownHostPlaces(of: HostAudit, root: string = stateFolder()): Promise<ChainHead[]> {
  const files = new AuditFiles(root);
  const places: ChainHead[] = [];
  for (const path of [...(await files.listOlder()), files.current]) {
    const text = await readFile(path, "utf8").catch(() => "");
    for (const line of text.split("\n")) {
      if (!line.includes('"event":"host-audit"')) continue;
      const parsed = v.safeParse(hostAuditLine, parseJson(line));
      if (!parsed.success) continue;
      const { host, agent, line: seq, hash } = parsed.output;
      if (host === of.host && agent === of.agent) places.push({ seq, hash });
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
