import { type Lab, TARGET } from "../lab/lab.ts";
import { JUMP_LOGIN, runFarside, TARGET_LOGIN } from "../support/farside.ts";
import { waitFor } from "../support/wait-for.ts";

/** A way from the jump host to a service on the target. */
export interface Way extends AsyncDisposable {
  readonly name: WayName;
  /** Where the client connects, on the jump host. */
  readonly host: string;
  readonly port: number;
  /** Where the service listens, on the target. */
  readonly servicePort: number;
  /** Open descriptors of the forwarder; undefined where there is none. */
  descriptors(): Promise<number | undefined>;
}

export const wayNames = ["no forwarder", "ssh -L", "farside, TCP target", "farside, SSH target"] as const;
export type WayName = (typeof wayNames)[number];

const KEY = "id_ed25519";
/** Where `ssh -L` of the jump host finds its key; made by `prepareWays`. */
const jumpKey = `/home/builder/.ssh/${KEY}`;
const workstationKey = `/root/.ssh/${KEY}`;

/** Keys for both: the old way has one on the jump host, farside one on the workstation. */
export async function prepareWays(lab: Lab): Promise<void> {
  const make = (file: string) => ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file];
  await lab.jump.run(["mkdir", "-p", "/home/builder/.ssh"], { user: "builder" });
  await Promise.all([
    lab.jump.run(make(jumpKey), { user: "builder" }),
    lab.workstation.run(make(workstationKey)),
  ]);
  await lab.authorize((await lab.jump.readFile(`${jumpKey}.pub`)).trim());
  await lab.authorize((await lab.workstation.readFile(`${workstationKey}.pub`)).trim());
  const known = await lab.workstation.readFile(lab.knownHosts);
  await lab.jump.writeFile("/home/builder/.ssh/known_hosts", known, { user: "builder" });
}

/** Each on ports of its own, so that they can be tried side by side. */
export async function openWay(lab: Lab, name: WayName): Promise<Way> {
  switch (name) {
    case "no forwarder":
      return direct(7000);
    case "ssh -L":
      return await overSsh(lab, 5001, 7001);
    case "farside, TCP target":
      return await overFarside(lab, name, 5002, [`5002:${TARGET}:7002`]);
    case "farside, SSH target":
      return await overFarside(lab, name, 5003, ["5003:localhost:7003", "--via", TARGET_LOGIN]);
  }
}

function direct(servicePort: number): Way {
  return {
    ...{ name: "no forwarder", host: TARGET, port: servicePort, servicePort },
    descriptors: async () => undefined,
    async [Symbol.asyncDispose]() {},
  };
}

async function overSsh(lab: Lab, port: number, servicePort: number): Promise<Way> {
  const argv = ["ssh", "-N", "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-v"];
  const ssh = lab.jump.spawn([...argv, "-L", `${port}:localhost:${servicePort}`, TARGET_LOGIN], {
    user: "builder",
  });
  await waitFor(() => ssh.stderr.includes("Entering interactive session"), {
    ...{ what: "ssh -L", withinMs: 20_000, detail: () => ssh.stderr },
  });
  const pid = Number(await lab.jump.run(["pgrep", "-x", "-u", "builder", "ssh"]));
  return {
    ...{ name: "ssh -L", host: "127.0.0.1", port, servicePort },
    descriptors: () => countDescriptors(lab, pid),
    async [Symbol.asyncDispose]() {
      await ssh.kill();
    },
  };
}

async function overFarside(lab: Lab, name: WayName, port: number, words: readonly string[]): Promise<Way> {
  const argv = ["forward", JUMP_LOGIN, "--identity", workstationKey, "-L", ...words];
  const farside = runFarside(lab, argv, { pin: false });
  await farside.ready();
  const { pid } = await farside.waitForEvent("agent.ready");
  return {
    ...{ name, host: "127.0.0.1", port, servicePort: port + 2_000 },
    descriptors: () => countDescriptors(lab, pid),
    async [Symbol.asyncDispose]() {
      await farside.end();
    },
  };
}

async function countDescriptors(lab: Lab, pid: number): Promise<number> {
  return Number(await lab.jump.run(["sh", "-c", 'ls "/proc/$0/fd" | wc -l', String(pid)]));
}
