import { JUMP, TARGET } from "@farside/test/lab/lab";
import type { LabProcess } from "@farside/test/lab/lab-process";
import { isListening } from "@farside/test/lab/proc-net";
import { cliPath, JUMP_LOGIN, TARGET_LOGIN } from "@farside/test/support/farside";
import { waitFor } from "@farside/test/support/wait-for";
import { type BenchLab, SERVICE_PORT } from "../lab/bench-lab.ts";
import { DelayLine } from "../lab/delay-line.ts";
import { listenerPid } from "../lab/processes.ts";
import type { Measured } from "../sample.ts";
import { interleave } from "./interleave.ts";
import type { Suite, Way } from "./suite.ts";

const TIMEOUT_MS = 30_000;
/** Has the card (after ssh-add). */
const AGENT_SOCKET = "/run/bench-ssh-agent.sock";
/** Has nothing: ssh forwards another agent only where it has one itself. */
const EMPTY_AGENT_SOCKET = "/run/bench-empty-agent.sock";
const ASKPASS = "/root/bench-askpass";

interface StartableWay extends Way {
  /** Starts the command on the workstation. */
  readonly spawn: (bench: BenchLab, port: number) => LabProcess;
}

const farside: StartableWay = {
  name: "farside",
  command:
    "farside forward builder@jump -L 4444:localhost:5000 --via signer@target (the card; PIN from a pipe)",
  spawn: ({ lab }, port) => {
    const argv = ["forward", JUMP_LOGIN, "-L", `127.0.0.1:${port}:localhost:${SERVICE_PORT}`];
    return lab.workstation.spawn(["node", cliPath, ...argv, "--via", TARGET_LOGIN, "--pin-source", "fd:3"], {
      env: lab.cardEnvironment,
      descriptors: [`${lab.card.pin}\n`],
    });
  },
};

const remoteCommand = (port: number): string =>
  `ssh -N -L 127.0.0.1:${port}:localhost:${SERVICE_PORT} signer@${TARGET}`;

const askpass = (bench: BenchLab): Record<string, string> => ({
  ...bench.lab.cardEnvironment,
  SSH_ASKPASS: ASKPASS,
  SSH_ASKPASS_REQUIRE: "force",
  DISPLAY: ":0",
});

/** The second PIN costs it nothing: an agent has had it since before the clock started. */
const sshWithProvider: StartableWay = {
  name: "ssh, ssh -N -L",
  command:
    'ssh -o PKCS11Provider=… -o ForwardAgent=$SOCK builder@jump "ssh -N -L …" (the agent for the second hop has its PIN already)',
  spawn: (bench, port) => {
    const forwarded = ["-o", `IdentityAgent=${EMPTY_AGENT_SOCKET}`, "-o", `ForwardAgent=${AGENT_SOCKET}`];
    return bench.lab.workstation.spawn(["ssh", ...forwarded, `builder@${JUMP}`, remoteCommand(port)], {
      env: askpass(bench),
    });
  },
};

/** All of it within the time: the agent gets the card and its PIN, then both hops use it. */
const sshWithAgent: StartableWay = {
  name: "ssh-add, ssh -A",
  command: 'ssh-add -s opensc-pkcs11.so && ssh -A builder@jump "ssh -N -L …"',
  spawn: (bench, port) => {
    const script =
      'ssh-add -q -s "$(echo /usr/lib/*/opensc-pkcs11.so)" && exec ssh -o PKCS11Provider=none -A "$0" "$1"';
    return bench.lab.workstation.spawn(["sh", "-c", script, `builder@${JUMP}`, remoteCommand(port)], {
      env: { ...askpass(bench), SSH_AUTH_SOCK: AGENT_SOCKET },
    });
  },
};

const ways = [farside, sshWithProvider, sshWithAgent];
const NEAR = "on the same network";
const FAR = "50 ms round trip";

/** From the command to a listener on the jump host that is connected to the target. */
export const startUp: Suite = {
  id: "start-up",
  title: "From the command to the open listener, card included",
  about: `The virtual card behind pcscd and OpenSC, RSA-2048; the PIN takes no time to type. The clock stops when the jump host's
kernel shows the listener. ${FAR}: between workstation and jump host.`,
  ways,
  metrics: ["startMs"],
  rounds: 7,
  run: async ({ bench, rounds, isQuick, progress }) => {
    const { workstation } = bench.lab;
    await workstation.writeFile(ASKPASS, `#!/bin/sh\necho ${bench.lab.card.pin}\n`);
    await workstation.run(["chmod", "755", ASKPASS]);
    const measureAll = (name: string) =>
      interleave({
        ways: isQuick ? ways.slice(0, 2) : ways,
        cases: [name],
        rounds,
        progress,
        measure: (way) => measureStart(bench, way),
      });
    const near = await measureAll(NEAR);
    await using _line = await DelayLine.between(workstation, bench.jump, 50);
    return [...near, ...(await measureAll(FAR))];
  },
};

async function measureStart(bench: BenchLab, way: StartableWay): Promise<Measured> {
  await using _agent = await startSshAgent(bench, AGENT_SOCKET);
  await using _empty = await startSshAgent(bench, EMPTY_AGENT_SOCKET);
  if (way === sshWithProvider) await giveCard(bench);
  const port = bench.nextPort();
  const from = performance.now();
  await using process = way.spawn(bench, port);
  await waitFor(() => isListening(bench.jump.initPid, port), {
    what: `the listener of ${way.name}`,
    withinMs: TIMEOUT_MS,
    everyMs: 1,
    detail: () => process.stderr,
  });
  const startMs = performance.now() - from;
  await endOf(bench, way, process, port);
  return { startMs };
}

async function endOf(bench: BenchLab, way: Way, process: LabProcess, port: number): Promise<void> {
  if (way === farside) {
    await process.signal("SIGINT");
    await process.exit;
    return;
  }
  // The ssh on the jump host would stay: nobody tells it.
  const inner = await listenerPid(bench.jump, port);
  await process.kill();
  if (inner !== undefined) globalThis.process.kill(inner, "SIGTERM");
}

async function startSshAgent(bench: BenchLab, socket: string): Promise<LabProcess> {
  const { workstation } = bench.lab;
  await workstation.run(["rm", "-f", socket]);
  const agent = workstation.spawn(["ssh-agent", "-D", "-a", socket, "-P", "/usr/lib/*"], {
    env: askpass(bench),
  });
  const exists = async () => (await workstation.exec(["test", "-S", socket])).code === 0;
  await waitFor(exists, { what: "ssh-agent", detail: () => agent.stderr });
  return agent;
}

/** The PIN that was typed before. */
async function giveCard(bench: BenchLab): Promise<void> {
  const env = { ...askpass(bench), SSH_AUTH_SOCK: AGENT_SOCKET };
  await bench.lab.workstation.run(["sh", "-c", 'exec ssh-add -q -s "$(echo /usr/lib/*/opensc-pkcs11.so)"'], {
    env,
  });
}
