import os from "node:os";

/** What the hello says about this host and login. */
export interface HostFacts {
  readonly pid: number;
  /** Without the leading v. */
  readonly node: string;
  readonly platform: string;
  readonly hostname: string;
  readonly uid: number;
  readonly user: string;
}

const MAX_NAME = 255;

export function readHostFacts(): HostFacts {
  const uid = process.getuid?.() ?? 0;
  return {
    pid: process.pid,
    node: process.versions.node,
    platform: process.platform,
    hostname: (os.hostname() || "unknown").slice(0, MAX_NAME),
    uid,
    user: userName(uid).slice(0, MAX_NAME),
  };
}

/** A user that no directory knows has no name. */
function userName(uid: number): string {
  try {
    return os.userInfo().username || `uid ${uid}`;
  } catch {
    return `uid ${uid}`;
  }
}
