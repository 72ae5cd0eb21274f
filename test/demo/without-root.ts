import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { startCard } from "../lab/card/start-card.ts";
import { waitFor } from "../support/wait-for.ts";

const run = promisify(execFile);
export const PIN = "123456";

/** What stands in for three hosts where the demo may not make hosts: two sshds of the user's own, and a card. */
export interface PlainPlace extends AsyncDisposable {
  readonly folder: string;
  /** ssh_config with the hosts `jump` and `target`. */
  readonly sshConfig: string;
  /** Options of farside and its environment by which it sees the card. */
  readonly cardOptions: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** What the identity is, in words. */
  readonly identity: string;
  /** PIN verifications and signatures by the card's own count; undefined where the identity keeps none. */
  counters(): Promise<{ verifies: number; signatures: number } | undefined>;
  freePort(): Promise<number>;
}

type PlainIdentity = Pick<PlainPlace, "cardOptions" | "environment" | "identity" | "counters"> & {
  readonly keys: readonly string[];
  close(): Promise<void>;
};

export async function startPlainPlace(): Promise<PlainPlace> {
  const folder = await mkdtemp(join(tmpdir(), "farside-demo-"));
  const servers: ChildProcess[] = [];
  let identity: PlainIdentity | undefined;
  // An interrupt ends this process where it stands. The card notices by itself.
  const endAtExit = (): void => {
    for (const server of servers) server.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", endAtExit);
  const close = async (): Promise<void> => {
    process.off("exit", endAtExit);
    await Promise.all(servers.map(endServer));
    await identity?.close();
    await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  };
  try {
    identity = await startCardOrToken(folder);
    await writeFile(join(folder, "authorized_keys"), `${identity.keys.join("\n")}\n`, { mode: 0o600 });
    const hosts: string[] = [];
    const known: string[] = [];
    for (const name of ["jump", "target"]) {
      const port = await freePort();
      const hostKey = await startSshd(folder, name, port, servers);
      known.push(`[127.0.0.1]:${port} ${hostKey}`);
      hosts.push(`Host ${name}\n  HostName 127.0.0.1\n  Port ${port}\n  User ${userInfo().username}`);
    }
    await writeFile(join(folder, "known_hosts"), `${known.join("\n")}\n`);
    const files = `Host *\n  UserKnownHostsFile ${join(folder, "known_hosts")}\n  GlobalKnownHostsFile /dev/null`;
    await writeFile(join(folder, "ssh_config"), `${[...hosts, files].join("\n")}\n`);
    return {
      ...identity,
      // Nothing of the demo stays in the user's home, however it ends.
      environment: { ...identity.environment, XDG_STATE_HOME: join(folder, "state") },
      folder,
      sshConfig: join(folder, "ssh_config"),
      freePort,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function startSshd(
  folder: string,
  name: string,
  port: number,
  servers: ChildProcess[],
): Promise<string> {
  const key = join(folder, `${name}_host_key`);
  await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key]);
  const config = [
    `ListenAddress 127.0.0.1:${port}`,
    `HostKey ${key}`,
    `AuthorizedKeysFile ${join(folder, "authorized_keys")}`,
    ...[
      "UsePAM no",
      "StrictModes no",
      "PasswordAuthentication no",
      "KbdInteractiveAuthentication no",
      "PidFile none",
    ],
  ];
  const path = join(folder, `${name}_sshd_config`);
  await writeFile(path, `${config.join("\n")}\n`);
  // Debug output off, log to its stderr, in the foreground: it goes when we end it.
  const server = spawn("/usr/sbin/sshd", ["-D", "-e", "-f", path], { stdio: ["ignore", "ignore", "pipe"] });
  servers.push(server);
  let log = "";
  server.stderr.setEncoding("utf8").on("data", (text: string) => {
    log += text;
  });
  await waitFor(() => log.includes("Server listening") || server.exitCode !== null, {
    what: `sshd of ${name}`,
  });
  if (server.exitCode !== null) throw new Error(`sshd of ${name} did not start: ${log}`);
  const { stdout } = await run("ssh-keygen", ["-y", "-f", key]);
  return stdout.trim();
}

async function endServer(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const ended = once(server, "exit");
  server.kill("SIGTERM");
  await ended;
}

/** The virtual card in a user namespace; where the machine has none of those, a SoftHSM2 token. */
async function startCardOrToken(folder: string): Promise<PlainIdentity> {
  try {
    const card = await startCard({ dir: join(folder, "card"), pin: PIN });
    await card.resetCounters();
    return {
      keys: await card.publicKeys(),
      cardOptions: [],
      environment: { PCSCLITE_CSOCK_NAME: card.csockName },
      identity: "a virtual PIV card behind pcscd and OpenSC, in a user namespace",
      counters: async () => {
        const { verifies, signs } = await card.counters();
        return { verifies, signatures: Object.values(signs).reduce((sum, count) => sum + count, 0) };
      },
      close: () => card.close(),
    };
  } catch {
    return startToken(folder);
  }
}

async function startToken(folder: string): Promise<PlainIdentity> {
  const module = "/usr/lib/softhsm/libsofthsm2.so";
  const tokens = join(folder, "tokens");
  const config = join(folder, "softhsm2.conf");
  await run("mkdir", [tokens]);
  await chmod(tokens, 0o700);
  await writeFile(config, `directories.tokendir = ${tokens}\n`);
  const env = { ...process.env, SOFTHSM2_CONF: config };
  await run(
    "softhsm2-util",
    ["--init-token", "--free", "--label", "demo", "--so-pin", "12345678", "--pin", PIN],
    { env },
  );
  const generate = ["--keypairgen", "--key-type", "rsa:2048", "--id", "01", "--label", "demo"];
  await run(
    "pkcs11-tool",
    ["--module", module, "--token-label", "demo", "--login", "--pin", PIN, ...generate],
    { env },
  );
  const { stdout } = await run("ssh-keygen", ["-D", module], { env });
  return {
    keys: stdout.trim().split("\n"),
    cardOptions: ["--pkcs11-provider", module],
    environment: { SOFTHSM2_CONF: config },
    identity: "a SoftHSM2 token (this machine allows no user namespaces)",
    counters: async () => undefined,
    close: async () => {},
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no free port");
  return address.port;
}
