import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type StartCardOptions, startCard, type VirtualCard } from "./card/start-card.ts";
import { Host } from "./host.ts";
import { makeLabFolder, removeLabFolder } from "./lab-folder.ts";
import { blackhole, endBlackhole, link } from "./network.ts";

export interface LabOptions {
  /** Hosts after the jump host, 1 where left out. The second is reachable from the first target only. */
  readonly targets?: 1 | 2;
  /** Login shell of `builder` on the jump host. */
  readonly shell?: string;
  /** `false` for a workstation without a card; options of the card otherwise. Its keys are authorized on every host. */
  readonly card?: false | Omit<StartCardOptions, "dir" | "namespaceCommand">;
  /** A tree to lay the jump host over, e.g. of another Debian release; the machine's own where left out. */
  readonly jumpRoot?: string;
  /** The same for the target. */
  readonly targetRoot?: string;
  /** `systemd`: the jump host boots Debian's, which takes about 8 s. */
  readonly jumpInit?: "shell" | "systemd";
}

export const WORKSTATION = "172.16.16.1";
export const JUMP = "172.16.16.158";
export const TARGET = "172.16.16.160";
export const SECOND_TARGET = "172.16.16.161";
const SHELL = "/bin/bash";

export const checkout = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

/** The checkout on the workstation for accounts that can't enter the folders above it. */
export const PUBLIC_CHECKOUT = "/srv/farside";

/**
 * A small network of real hosts on this machine, for as long as this process lives: a workstation with a card, a jump
 * host with the accounts `builder` and `intruder`, and one or two targets with the account `signer`.
 */
export class Lab {
  readonly workstation: Host;
  readonly jump: Host;
  readonly target: Host;
  readonly #secondTarget: Host | undefined;
  readonly #card: VirtualCard | undefined;
  readonly #folder: string;
  #closing: Promise<void> | undefined;

  constructor(folder: string, hosts: readonly Host[], card: VirtualCard | undefined) {
    const [workstation, jump, target, secondTarget] = hosts;
    if (!workstation || !jump || !target) throw new Error("a lab needs three hosts");
    this.#folder = folder;
    this.workstation = workstation;
    this.jump = jump;
    this.target = target;
    this.#secondTarget = secondTarget;
    this.#card = card;
  }

  get secondTarget(): Host {
    if (this.#secondTarget === undefined) throw new Error("this lab has one target");
    return this.#secondTarget;
  }
  get card(): VirtualCard {
    if (this.#card === undefined) throw new Error("this lab has no card");
    return this.#card;
  }
  /** The card's PIN; empty where there is no card. */
  get pin(): string {
    return this.#card?.pin ?? "";
  }
  get hosts(): readonly Host[] {
    return [this.workstation, this.jump, this.target, ...(this.#secondTarget ? [this.#secondTarget] : [])];
  }
  /** Folder that the machine and the workstation see under the same path. */
  get shared(): string {
    return join(this.#folder, "shared");
  }
  /** Path on the workstation: the ed25519 host key of every host, and nothing else. */
  get knownHosts(): string {
    return "/root/.ssh/known_hosts";
  }
  /** What a process on the workstation needs in its environment to see the card. */
  get cardEnvironment(): Record<string, string> {
    return this.#card === undefined ? {} : { PCSCLITE_CSOCK_NAME: this.#card.csockName };
  }

  /** Lets the holder of a key log in to every host as its account. */
  async authorize(line: string): Promise<void> {
    const append = ["/bin/sh", "-c", 'cat >> "$HOME/.ssh/authorized_keys"'];
    const remote = this.hosts.filter((host) => host !== this.workstation);
    await Promise.all(remote.map((host) => host.run(append, { user: host.user, input: `${line}\n` })));
  }

  /** Bytes over the workstation's one link, both ways, all headers included. */
  async workstationBytes(): Promise<number> {
    const { received, sent } = await this.workstation.linkBytes("to-jump");
    return received + sent;
  }

  /** Pulls the cable between workstation and jump host: both ends see it at once. */
  cutWorkstationLink(): Promise<void> {
    return this.workstation.linkDown("to-jump");
  }
  restoreWorkstationLink(): Promise<void> {
    return this.workstation.linkUp("to-jump");
  }

  /** Drops packets between workstation and jump host silently: neither end is told. */
  blackholeWorkstationLink(): Promise<void> {
    return blackhole(this.workstation, "to-jump");
  }
  endBlackhole(): Promise<void> {
    return endBlackhole(this.workstation);
  }

  /** Stops every process of the workstation, the card and pcscd, as a machine that sleeps does. */
  async sleepWorkstation(): Promise<void> {
    // All but whoever says it, and the host's first process.
    await this.workstation.run(["sh", "-c", "kill -STOP -1"]);
    this.#card?.freeze();
  }
  async wakeWorkstation(): Promise<void> {
    this.#card?.thaw();
    await this.workstation.run(["sh", "-c", "kill -CONT -1"]);
  }

  /** From now on the jump host answers for the target's address itself: what listens there is what "the target" is. */
  async impersonateTarget(): Promise<void> {
    await this.jump.run(["ip", "addr", "add", `${TARGET}/32`, "dev", "lo"]);
  }
  async endImpersonation(): Promise<void> {
    await this.jump.run(["ip", "addr", "del", `${TARGET}/32`, "dev", "lo"]);
  }

  /** Ends every host, the card and the folder. */
  close(): Promise<void> {
    this.#closing ??= closeAll(this.#folder, this.hosts, this.#card);
    return this.#closing;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Starts a lab: about a second without a card, three with one. Needs root and the Debian packages of scripts/setup. */
export async function startLab(options: LabOptions = {}): Promise<Lab> {
  if (process.getuid?.() !== 0) throw new Error("the lab needs root: it makes hosts out of namespaces");
  const folder = makeLabFolder();
  const results = await Promise.allSettled([
    startHosts(folder, options),
    options.card === false ? undefined : startCard({ ...options.card, dir: join(folder, "shared", "card") }),
  ] as const);
  const [hosts, card] = results;
  if (hosts.status === "rejected" || card.status === "rejected") {
    const started = hosts.status === "fulfilled" ? hosts.value : [];
    await closeAll(folder, started, card.status === "fulfilled" ? card.value : undefined);
    throw hosts.status === "rejected" ? hosts.reason : (card as PromiseRejectedResult).reason;
  }
  const lab = new Lab(folder, hosts.value, card.value);
  for (const line of (await card.value?.publicKeys()) ?? []) await lab.authorize(line);
  if (card.value !== undefined) await configureCard(lab.workstation);
  return lab;
}

/** As an operator with a card has it, for ssh(1) too. */
async function configureCard(workstation: Host): Promise<void> {
  const [module] = (await workstation.run(["sh", "-c", "ls /usr/lib/*/opensc-pkcs11.so"])).split("\n");
  await workstation.writeFile("/root/.ssh/config", `Host *\n  PKCS11Provider ${module}\n`);
}

async function startHosts(folder: string, options: LabOptions): Promise<Host[]> {
  const common = { checkout, lowerRoot: "/", shared: "", node: process.execPath, sshd: true };
  const remote = { ...common, seesCheckout: false };
  const signer = { ...remote, accounts: `signer:1600:${SHELL}`, user: "signer" };
  const second = { ...signer, hostname: "target2", address: SECOND_TARGET };
  const plans = [
    {
      ...common,
      ...{ hostname: "workstation", address: WORKSTATION, user: "root", sshd: false },
      ...{ accounts: `alice:1400:${SHELL}`, seesCheckout: true, shared: join(folder, "shared") },
    },
    {
      ...remote,
      ...{ hostname: "jump", address: JUMP, user: "builder", lowerRoot: options.jumpRoot ?? "/" },
      init: options.jumpInit,
      accounts: `builder:1500:${options.shell ?? SHELL} intruder:1501:${SHELL}`,
    },
    { ...signer, hostname: "target", address: TARGET, lowerRoot: options.targetRoot ?? "/" },
    ...(options.targets === 2 ? [second] : []),
  ];
  const started = await Promise.allSettled(
    plans.map((plan) => Host.start({ ...plan, folder: join(folder, plan.hostname) })),
  );
  const hosts = started.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  try {
    const failed = started.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    await connectHosts(hosts);
    return hosts;
  } catch (error) {
    await Promise.all(hosts.map((host) => host.close()));
    throw error;
  }
}

async function connectHosts(hosts: readonly Host[]): Promise<void> {
  const [workstation, jump, target, secondTarget] = hosts as [Host, Host, Host, Host | undefined];
  await Promise.all([
    link(workstation, "to-jump", jump, "to-ws"),
    link(jump, "to-target", target, "to-jump"),
    secondTarget && link(target, "to-target2", secondTarget, "to-target"),
  ]);
  const servers = hosts.slice(1);
  await Promise.all(servers.map((host) => host.sshd.start()));
  const lines = await Promise.all(
    servers.map(
      async (host) => `${host.address} ${await host.readFile("/etc/ssh/ssh_host_ed25519_key.pub")}`,
    ),
  );
  await workstation.writeFile("/root/.ssh/known_hosts", lines.join(""));
}

async function closeAll(
  folder: string,
  hosts: readonly Host[],
  card: VirtualCard | undefined,
): Promise<void> {
  await Promise.all([...hosts.map((host) => host.close()), card?.close()]);
  removeLabFolder(folder);
}
