import { execFile } from "node:child_process";
import { access, readFile } from "node:fs/promises";
import { CodedError } from "@farside/protocol";

const ASK_TIMEOUT_MS = 3_000;
const LOGIND = [
  "org.freedesktop.login1",
  "/org/freedesktop/login1",
  "org.freedesktop.login1.Manager",
] as const;

/** What decides whether a process outlives the login that it was started in. */
export interface SurvivalFacts {
  readonly user: string;
  readonly uid: number;
  /** systemd-logind counts this process to a login session, which it may clean up at its end. */
  readonly isInLoginSession: boolean;
  /** Whether it does (KillUserProcesses); undefined: it could not be asked. */
  readonly killsUserProcesses: boolean | undefined;
  /** The user's manager runs without a login too. */
  readonly isLingering: boolean;
  /** `systemd-run --user` can be used. */
  readonly hasUserManager: boolean;
}

/** `detached`: a session of its own (setsid) is enough. `scope`: the user's manager must have it. */
export type Survival = "detached" | "scope";

/** How a process outlives its login. Throws `agent.would-not-survive` where it can't, with what to turn on. */
export function decideSurvival(facts: SurvivalFacts): Survival {
  const { user, isInLoginSession, killsUserProcesses, isLingering, hasUserManager } = facts;
  if (!isInLoginSession || killsUserProcesses === false) return "detached";
  if (isLingering && hasUserManager) return "scope";
  const why =
    killsUserProcesses === true
      ? "systemd-logind there ends a user's processes with the login (KillUserProcesses=yes)"
      : "systemd-logind there can't be asked whether it ends a user's processes with the login";
  const lingering = isLingering
    ? "lingering is on, but the user's manager can't be reached"
    : "lingering is off";
  throw new CodedError(
    "agent.would-not-survive",
    `keeping the agent alive without its login: ${why}, and ${lingering}`,
    {
      leg: "jump",
      hint: isLingering
        ? "systemctl --user must work in that login (pam_systemd, XDG_RUNTIME_DIR)."
        : `Turn it on there, as root: loginctl enable-linger ${user}`,
    },
  );
}

/** Asks this host. Never rejects. */
export async function readSurvivalFacts(login: {
  readonly user: string;
  readonly uid: number;
}): Promise<SurvivalFacts> {
  const isSystemd = await exists("/run/systemd/system");
  const cgroup = await readFile("/proc/self/cgroup", "utf8").catch(() => "");
  const isInLoginSession = isSystemd && /\/session-[^/]+\.scope/.test(cgroup);
  const [isLingering, hasUserManager, killsUserProcesses] = await Promise.all([
    isSystemd && exists(`/var/lib/systemd/linger/${login.user}`),
    isSystemd && exists(`/run/user/${login.uid}/systemd/private`),
    isInLoginSession ? askKillUserProcesses(login) : undefined,
  ]);
  return { ...login, isInLoginSession, isLingering, hasUserManager, killsUserProcesses };
}

/** Whether logind ends this user's processes with the login; undefined where it does not say. */
async function askKillUserProcesses({
  user,
  uid,
}: {
  user: string;
  uid: number;
}): Promise<boolean | undefined> {
  const properties = ["KillUserProcesses", "KillOnlyUsers", "KillExcludeUsers"];
  const text = await output("busctl", ["get-property", ...LOGIND, ...properties]);
  return text === undefined ? undefined : readKillUserProcesses(text, { user, uid });
}

/** Reads busctl's three answers: `b true`, `as 0`, `as 1 "root"`. */
export function readKillUserProcesses(
  text: string,
  { user, uid }: { user: string; uid: number },
): boolean | undefined {
  const [kills, only = "", except = ""] = text.split("\n");
  if (kills !== "b true" && kills !== "b false") return undefined;
  const names = (line: string) => [...line.matchAll(/"([^"]*)"/g)].map(([, name]) => name);
  const isNamed = (line: string) => names(line).some((name) => name === user || name === String(uid));
  if (kills === "b false" || isNamed(except)) return false;
  return names(only).length === 0 || isNamed(only);
}

function output(command: string, args: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(command, args, { timeout: ASK_TIMEOUT_MS }, (error, stdout) =>
      resolve(error === null ? stdout : undefined),
    );
  });
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
