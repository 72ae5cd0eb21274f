import { access, readdir, readFile } from "node:fs/promises";
import { userInfo } from "node:os";
import type { HostDescription } from "@farside/protocol";

const LOGIND_CONFIGS = ["/etc/systemd/logind.conf", "/usr/lib/systemd/logind.conf"] as const;
const LOGIND_FOLDERS = [
  "/usr/lib/systemd/logind.conf.d",
  "/run/systemd/logind.conf.d",
  "/etc/systemd/logind.conf.d",
] as const;

/** What this host lets processes of this login do; what can't be known is left out. Never rejects. */
export async function readHostLimits(): Promise<HostDescription> {
  const limits = await readFile("/proc/self/limits", "utf8").catch(() => "");
  const openFiles = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  const isSystemd = await exists("/run/systemd/system");
  const kills = isSystemd ? await killsUserProcesses() : undefined;
  return {
    ...(openFiles === undefined ? {} : { openFiles: Number(openFiles) }),
    ...(kills === undefined ? {} : { killsUserProcesses: kills }),
    ...(isSystemd ? { lingers: await exists(`/var/lib/systemd/linger/${userName()}`) } : {}),
  };
}

/** As logind.conf says it, the last word of the last file; undefined where nobody says anything. */
async function killsUserProcesses(): Promise<boolean | undefined> {
  let value: boolean | undefined;
  for (const file of [...[...LOGIND_CONFIGS].reverse(), ...(await dropIns())]) {
    const text = await readFile(file, "utf8").catch(() => "");
    for (const [, word = ""] of text.matchAll(/^\s*KillUserProcesses\s*=\s*(\S+)/gm))
      value = /^(?:yes|true|on|1)$/i.test(word);
  }
  return value;
}

async function dropIns(): Promise<string[]> {
  const files = await Promise.all(
    LOGIND_FOLDERS.map(async (folder) => {
      const names = await readdir(folder).catch(() => []);
      return names
        .filter((name) => name.endsWith(".conf"))
        .map((name) => ({ name, path: `${folder}/${name}` }));
    }),
  );
  return files
    .flat()
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ path }) => path);
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return "";
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
