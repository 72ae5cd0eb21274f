import { readFile, stat } from "node:fs/promises";

/** What sshd calls the process that serves one login: `sshd: builder@notty`, since OpenSSH 9.8 `sshd-session: builder@notty`. */
const LOGIN_TITLE = /^sshd(?:-session)?: [^@\s]+@/;

export interface ParentProcess {
  readonly pid: number;
  readonly comm: string;
  readonly title: string;
  readonly uid: number;
}

/** Whether `parent` is the sshd process of a login of the user `uid`, and not the daemon or something else. */
export function isLoginSshd(parent: ParentProcess, uid: number): boolean {
  return parent.pid > 1 && parent.uid === uid && /^sshd/.test(parent.comm) && LOGIN_TITLE.test(parent.title);
}

/**
 * Ends the SSH login that this process runs in: behind a dead link its sshd would wait for TCP to give up. Only a parent
 * that is this user's own login process is signalled; resolves with whether it was.
 */
export async function endOwnLogin(
  uid: number,
  parentPid: () => number = () => process.ppid,
  kill: (pid: number) => void = (pid) => process.kill(pid, "SIGTERM"),
): Promise<boolean> {
  const pid = parentPid();
  const parent = await readParent(pid).catch(() => undefined);
  if (parent === undefined || !isLoginSshd(parent, uid)) return false;
  // As long as it is our parent, the pid is not somebody else's.
  if (parentPid() !== pid) return false;
  try {
    kill(pid);
    return true;
  } catch {
    return false;
  }
}

async function readParent(pid: number): Promise<ParentProcess> {
  const folder = `/proc/${pid}`;
  const [comm, cmdline, status] = await Promise.all([
    readFile(`${folder}/comm`, "utf8"),
    readFile(`${folder}/cmdline`, "utf8"),
    readFile(`${folder}/status`, "utf8"),
  ]);
  const real = /^Uid:\s+(\d+)/m.exec(status)?.[1];
  const uid = real === undefined ? (await stat(folder)).uid : Number(real);
  return { pid, comm: comm.trim(), title: cmdline.split("\0")[0] ?? "", uid };
}
