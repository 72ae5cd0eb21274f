import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { CodedError } from "@farside/protocol";

/** For users that only a directory service knows. */
const GETENT_TIMEOUT_MS = 5000;
const MAX_GETENT_BYTES = 64 * 1024;
/** What may stand on getent's command line; wider than useradd(8) allows, without a leading dash. */
const USER_NAME = /^[A-Za-z0-9_.][A-Za-z0-9_.@$+\\-]{0,254}$/;

/**
 * The uid of the user `name` on this host: from /etc/passwd, else from `getent passwd`. Digits that are no user's name are
 * a uid. Rejects with `config.invalid`.
 */
export async function uidOfUser(name: string): Promise<number> {
  const uid =
    (await searchPasswd((fields) => fields[0] === name, name)) ??
    (/^\d{1,10}$/.test(name) ? Number(name) : undefined);
  if (uid !== undefined) return uid;
  throw new CodedError(
    "config.invalid",
    `looking up the user ${JSON.stringify(name)} on the jump host: there is no such user`,
    {
      leg: "bind",
      hint: "--allow-user takes names of users of the jump host.",
    },
  );
}

/** The name of `uid` on this host, or `uid N` where it has none. */
export async function userNameOf(uid: number): Promise<string> {
  const passwd = await readPasswd();
  const row = passwdRows(passwd).find((fields) => Number(fields[2]) === uid);
  return row?.[0] ?? `uid ${uid}`;
}

async function searchPasswd(
  matches: (fields: string[]) => boolean,
  name: string,
): Promise<number | undefined> {
  const local = passwdRows(await readPasswd()).find(matches);
  const row = local ?? (USER_NAME.test(name) ? passwdRows(await getent(name)).find(matches) : undefined);
  const uid = Number(row?.[2] ?? Number.NaN);
  return Number.isSafeInteger(uid) && uid >= 0 ? uid : undefined;
}

function passwdRows(text: string): string[][] {
  return text.split("\n").map((line) => line.split(":"));
}

function readPasswd(): Promise<string> {
  return readFile("/etc/passwd", "utf8").catch(() => "");
}

function getent(name: string): Promise<string> {
  return new Promise((resolve) => {
    const options = {
      timeout: GETENT_TIMEOUT_MS,
      killSignal: "SIGKILL",
      maxBuffer: MAX_GETENT_BYTES,
    } as const;
    execFile("getent", ["passwd", "--", name], options, (error, stdout) =>
      resolve(error === null ? stdout : ""),
    );
  });
}
