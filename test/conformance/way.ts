import type { Host } from "../lab/host.ts";
import { type Lab, TARGET } from "../lab/lab.ts";
import { type FarsideRun, JUMP_LOGIN, runFarside, TARGET_LOGIN } from "../support/farside.ts";
import { waitFor } from "../support/wait-for.ts";
import type { Address } from "./address.ts";
import type { Shape } from "./shape.ts";
import { installSlowWayNode, SLOW_WAY, slowWayOptions } from "./slow-way-node.ts";

/** A way from the jump host to a service. */
export interface Way extends AsyncDisposable {
  readonly name: WayName;
  /** Where the client connects, on the jump host. */
  readonly clientTo: Address;
  /** Where the service listens, and on which host: where its packets can be held up. */
  readonly serviceAt: Address;
  readonly serviceHost: Host;
  /** Open descriptors of the forwarder; undefined where there is none. */
  descriptors(): Promise<number | undefined>;
  /** What the forwarder has said, for the message of a failure. */
  transcript(): string;
}

export const farsideWayNames = [
  "farside, no hop",
  "farside, a hop",
  "farside, a hop, slow way",
  "farside, engine openssh",
] as const;
export const wayNames = ["no forwarder", "ssh -L", ...farsideWayNames] as const;
export type FarsideWayName = (typeof farsideWayNames)[number];
export type WayName = (typeof wayNames)[number];

/** Without a forwarder both ends of a connection are of one kind. */
export function waysOf(shape: Shape): readonly WayName[] {
  return wayNames.filter((name) => name !== "no forwarder" || shape.client === shape.service);
}

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
    installSlowWayNode(lab.jump),
  ]);
  await lab.authorize((await lab.jump.readFile(`${jumpKey}.pub`)).trim());
  await lab.authorize((await lab.workstation.readFile(`${workstationKey}.pub`)).trim());
  const known = await lab.workstation.readFile(lab.knownHosts);
  await lab.jump.writeFile("/home/builder/.ssh/known_hosts", known, { user: "builder" });
}

/** Each on ports or sockets of its own, so that they can be tried side by side. */
export async function openWay(lab: Lab, shape: Shape, name: WayName): Promise<Way> {
  const index = wayNames.indexOf(name);
  // What no hop leads to is on the jump host, where it is a socket, or what the jump host reaches itself.
  const isOnJump = shape.service === "unix" && (name === "no forwarder" || name === "farside, no hop");
  // ssh leaves its socket behind: none is there twice.
  const socket = `${shape.client}-to-${shape.service}-${index}.sock`;
  const place: Place = {
    ...{ name, shape, serviceHost: isOnJump ? lab.jump : lab.target },
    clientTo:
      shape.client === "unix"
        ? { path: `/home/builder/client-${socket}` }
        : { host: "127.0.0.1", port: 5_000 + index },
    serviceAt:
      shape.service === "unix"
        ? { path: `/home/${isOnJump ? "builder" : "signer"}/service-${socket}` }
        : { host: "0.0.0.0", port: 7_000 + index },
  };
  const viaTarget = ["--via", TARGET_LOGIN];
  switch (name) {
    case "no forwarder":
      return direct(place);
    case "ssh -L":
      return await overSsh(lab, place);
    case "farside, no hop":
      return await overFarside(lab, place, TARGET, []);
    case "farside, a hop":
      return await overFarside(lab, place, "localhost", viaTarget);
    case "farside, a hop, slow way":
      return await overFarside(lab, place, "localhost", [...viaTarget, ...slowWayOptions]);
    case "farside, engine openssh":
      return await overFarside(lab, place, "localhost", [...viaTarget, "--engine", "openssh"]);
  }
}

interface Place extends Pick<Way, "name" | "clientTo" | "serviceAt" | "serviceHost"> {
  readonly shape: Shape;
}

/** `-L` for it; `host` is what the service's host is called where it is dialled from. */
function specOf({ clientTo, serviceAt }: Place, host: string): string {
  const from = "path" in clientTo ? clientTo.path : String(clientTo.port);
  return `${from}:${"path" in serviceAt ? serviceAt.path : `${host}:${serviceAt.port}`}`;
}

function direct({ name, serviceAt, serviceHost }: Place): Way {
  const clientTo = "path" in serviceAt ? serviceAt : { host: TARGET, port: serviceAt.port };
  return {
    ...{ name, clientTo, serviceAt, serviceHost },
    descriptors: async () => undefined,
    transcript: () => "",
    async [Symbol.asyncDispose]() {},
  };
}

async function overSsh(lab: Lab, place: Place): Promise<Way> {
  const argv = ["ssh", "-N", "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-v"];
  const spec = specOf(place, "localhost");
  const ssh = lab.jump.spawn([...argv, "-L", spec, TARGET_LOGIN], { user: "builder" });
  await waitFor(() => ssh.stderr.includes("Entering interactive session"), {
    ...{ what: "ssh -L", withinMs: 20_000, detail: () => ssh.stderr },
  });
  return {
    ...place,
    descriptors: async () => countDescriptors(lab, await sshWith(lab, spec)),
    transcript: () => ssh.stderr,
    async [Symbol.asyncDispose]() {
      await ssh.kill();
    },
  };
}

async function overFarside(lab: Lab, place: Place, host: string, options: readonly string[]): Promise<Way> {
  const spec = specOf(place, host);
  const argv = ["forward", JUMP_LOGIN, "--identity", workstationKey, "-L", spec, ...options];
  const farside = runFarside(lab, argv, { pin: false });
  await farside.ready();
  const pid = await forwarderOf(lab, farside, place);
  return {
    ...place,
    descriptors: () => countDescriptors(lab, pid),
    transcript: () => farside.transcript,
    async [Symbol.asyncDispose]() {
      await farside.end();
    },
  };
}

/** The process on the jump host that forwards. */
async function forwarderOf(lab: Lab, farside: FarsideRun, place: Place): Promise<number> {
  if (place.name === "farside, engine openssh") {
    const { serviceAt } = place;
    return await sshWith(lab, "path" in serviceAt ? serviceAt.path : `:${serviceAt.port}`);
  }
  const { pid } = await farside.waitForEvent("agent.ready");
  const isSlow = () => farside.transcript.includes(SLOW_WAY);
  if (place.name === "farside, a hop, slow way")
    // The log comes by another way than the events.
    await waitFor(isSlow, { what: "the slow way", detail: () => farside.transcript });
  else if (isSlow()) throw new Error(`${place.name} takes the slow way`);
  return pid;
}

/** The ssh on the jump host whose command line holds `word`. */
async function sshWith(lab: Lab, word: string): Promise<number> {
  const lines = (await lab.jump.run(["pgrep", "-x", "-a", "-u", "builder", "ssh"])).trim().split("\n");
  const [line, ...others] = lines.filter((each) => each.includes(word));
  if (line === undefined || others.length > 0)
    throw new Error(`not one ssh with ${word} on the jump host, but:\n${lines.join("\n")}`);
  return Number(line.split(" ")[0]);
}

async function countDescriptors(lab: Lab, pid: number): Promise<number> {
  return Number(await lab.jump.run(["sh", "-c", 'ls "/proc/$0/fd" | wc -l', String(pid)]));
}
