import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { userInfo } from "node:os";
import { setTimeout as wait } from "node:timers/promises";
import { freePort } from "./free-port.ts";
import { type KeyKind, type KeyPair, makeKeyPair } from "./key-pair.ts";
import { type TemporaryFolder, temporaryFolder } from "./temporary-folder.ts";

export interface SshdOptions {
  /** Host keys, made anew; default one Ed25519 key. */
  readonly hostKeys?: readonly KeyKind[];
  /** Certifies its first host key: resolves with the certificate's path. */
  readonly certify?: ((hostKey: KeyPair) => Promise<string>) | undefined;
  /** Lines of authorized_keys; default: `userKey` of the result. */
  readonly authorizedKeys?: readonly string[];
  /** Further lines of sshd_config; they come first, so they win. */
  readonly config?: readonly string[];
  /** Set for every login, over what sshd itself sets. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** A real sshd on a free port of 127.0.0.1, for the user who runs the tests. Disposing ends it and removes its files. */
export interface Sshd extends AsyncDisposable {
  readonly host: "127.0.0.1";
  readonly port: number;
  readonly user: string;
  readonly pid: number;
  readonly hostKeys: readonly KeyPair[];
  /** A key that may log in, unless `authorizedKeys` were given. */
  readonly userKey: KeyPair;
  readonly folder: TemporaryFolder;
  log(): Promise<string>;
}

export async function startSshd(options: SshdOptions = {}): Promise<Sshd> {
  const folder = await temporaryFolder();
  // A port that is free now may be taken when sshd binds it: then it exits, and another one is tried.
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await startOn(await freePort(), folder, options, attempt);
    } catch (error) {
      if (attempt < 3 && /address already in use/iu.test(String(error))) continue;
      await folder[Symbol.asyncDispose]();
      throw error;
    }
  }
}

async function startOn(
  port: number,
  folder: TemporaryFolder,
  { hostKeys: kinds = ["ed25519"], certify, authorizedKeys, config = [], environment }: SshdOptions,
  attempt: number,
): Promise<Sshd> {
  const hostKeys = await Promise.all(
    kinds.map((kind) => makeKeyPair(folder.file(`host-${attempt}-${kind}`), kind)),
  );
  const userKey = await makeKeyPair(folder.file(`user-${attempt}`));
  await writeFile(folder.file("authorized_keys"), `${(authorizedKeys ?? [userKey.line]).join("\n")}\n`);
  const [first] = hostKeys;
  const certificate = first && (await certify?.(first));
  const lines = [
    ...config,
    // Where no shell is above it, bash reads ~/.bashrc for a login's command: what stands there is not the tests'
    // business, and may take longer than the command.
    `SetEnv ${Object.entries({ SHLVL: "1", ...environment })
      .map(([name, value]) => `${name}=${value}`)
      .join(" ")}`,
    `Port ${port}`,
    "ListenAddress 127.0.0.1",
    ...hostKeys.map(({ path }) => `HostKey ${path}`),
    ...(certificate === undefined ? [] : [`HostCertificate ${certificate}`]),
    `AuthorizedKeysFile ${folder.file("authorized_keys")}`,
    "PidFile none",
    "StrictModes no",
    "UsePAM no",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "PrintMotd no",
    "LogLevel DEBUG1",
  ];
  await writeFile(folder.file("sshd_config"), `${lines.join("\n")}\n`);
  // sshd's privilege separation needs it, and Debian makes it in the service file only.
  await mkdir("/run/sshd", { recursive: true }).catch(() => {});
  const log = folder.file("sshd.log");
  const child = spawn("/usr/sbin/sshd", ["-D", "-f", folder.file("sshd_config"), "-E", log], {
    stdio: "ignore",
  });
  // A test run that breaks off disposes of nothing.
  const killAtExit = () => child.kill("SIGKILL");
  process.once("exit", killAtExit);
  await untilListening(child, port, log);
  return {
    host: "127.0.0.1",
    port,
    user: userInfo().username,
    pid: child.pid ?? 0,
    hostKeys,
    userKey,
    folder,
    log: () => readFile(log, "utf8"),
    async [Symbol.asyncDispose]() {
      const isRunning = child.exitCode === null && child.signalCode === null;
      const gone = isRunning ? once(child, "exit") : undefined;
      child.kill("SIGCONT");
      child.kill("SIGTERM");
      await gone;
      process.off("exit", killAtExit);
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** sshd says nowhere that it listens but in its log; trying costs nothing and is sure. */
async function untilListening(child: ChildProcess, port: number, log: string): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (Date.now() < deadline) {
    if (child.exitCode !== null)
      throw new Error(`sshd ended: ${await readFile(log, "utf8").catch(() => "")}`);
    if (await answers(port)) return;
    await wait(10);
  }
  child.kill("SIGKILL");
  throw new Error("sshd did not listen in time");
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    const [banner] = await once(socket, "data");
    return String(banner).startsWith("SSH-");
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
