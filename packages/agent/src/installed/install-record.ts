import { readFile } from "node:fs/promises";
import { agentName } from "@farside/protocol";
import * as v from "valibot";
import type { FolderPlaces } from "./agent-folder.ts";

const installRecord = v.object({
  version: v.literal(1),
  name: agentName,
  /** Marks every process of it; see `RUN_VARIABLE`. */
  run: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)),
  supervisor: v.picklist(["systemd", "daemon"]),
  node: v.string(),
  /** Folders that were made for it, outermost first; they go again when they are empty. */
  folders: v.array(v.string()),
  /** Files outside its own folder. */
  files: v.array(v.string()),
});
/** What was made for an installed agent on its host. */
export type InstallRecord = v.InferOutput<typeof installRecord>;

/** The record in an agent's folder; undefined where there is none that can be read. */
export async function readInstallRecord({ record }: FolderPlaces): Promise<InstallRecord | undefined> {
  try {
    return v.parse(installRecord, JSON.parse(await readFile(record, "utf8")));
  } catch {
    return undefined;
  }
}
