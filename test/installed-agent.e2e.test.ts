import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Lab, startLab, TARGET } from "./lab/lab.ts";
import type { LabProcess } from "./lab/lab-process.ts";
import { installProgram } from "./lab/program.ts";
import { farsideAgent, startFarsideAgent } from "./support/agent-cli.ts";
import { describeLab } from "./support/describe-lab.ts";
import { TARGET_LOGIN } from "./support/farside.ts";
import { FILE, FOLDER, fileOf } from "./support/forwards-file.ts";
import { isNothing } from "./support/leftovers.ts";
import { waitFor } from "./support/wait-for.ts";

const KEY = "/home/builder/.ssh/id_ed25519";
const SOCKET = "/home/builder/f.sock";
const sign = { id: "sign", listen: 4444 };
const unattended = { id: "unattended", listen: 4445, identity: { "key-file": KEY } };
/** With the ssh-agent that the environment of the login's services names. */
const agentSocket = "/home/builder/ssh-agent";
const own = { id: "own", listen: 4447, identity: { "ssh-agent": "SSH_AUTH_SOCK" } };
const direct = { id: "direct", listen: 4446, via: [] as string[], target: `${TARGET}:4444` };

interface State {
  readonly phase: string;
  readonly lastError?: { readonly code: string; readonly leg?: string };
}

/** A program that holds a connection to each place, says each line of its input to all, and prints which answers what, or was cut. */
const fiveRelays = (...places: string[]) => `
  const sockets = ${JSON.stringify(places)}.map((place, index) => {
    const socket = /^\\d/.test(place) ? net.connect(Number(place), "127.0.0.1") : net.connect(place);
    socket.on("data", (data) => process.stdout.write(index + " " + data));
    socket.on("error", () => {}).on("close", () => console.log(index + " cut"));
    return socket;
  });
  process.stdin.on("data", (line) => { for (const each of sockets) if (!each.destroyed) each.write(line); });`;

describeLab("an agent installed on a build server with systemd", () => {
  let lab: Lab;
  let echo: LabProcess;
  let sshAgent: LabProcess;
  beforeAll(async () => {
    lab = await startLab({ jumpInit: "systemd" });
    const server =
      'net.createServer({ allowHalfOpen: true }, (s) => s.pipe(s)).listen(4444, "::", () => console.log("up"))';
    echo = lab.target.spawn(["node", "-e", server]);
    await waitFor(() => echo.stdout.includes("up"), { what: "the echo service" });
    await lab.jump.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", KEY], { user: "builder" });
    await lab.authorize(await lab.jump.readFile(`${KEY}.pub`));
    const environment = `mkdir -p .config/environment.d && echo SSH_AUTH_SOCK=${agentSocket} > .config/environment.d/agent.conf`;
    await lab.jump.run(["sh", "-c", environment], { user: "builder" });
    sshAgent = await startSshAgent();
    await lab.jump.run(["loginctl", "enable-linger", "builder"]);
    await waitFor(managerIsUp, { what: "the manager of a lingering user" });
    await lab.jump.mark();
  });
  afterEach(async () => {
    await farsideAgent(lab, "uninstall");
  });
  afterAll(async () => {
    await Promise.all([echo.kill(), sshAgent.kill()]);
    await lab.close();
  });

  const startSshAgent = async () => {
    await lab.jump.run(["rm", "-f", agentSocket]);
    const agent = lab.jump.spawn(["ssh-agent", "-D", "-a", agentSocket], { user: "builder" });
    await waitFor(() => agent.stdout !== "", { what: "the ssh-agent" });
    await lab.jump.run(["ssh-add", KEY], { user: "builder", env: { SSH_AUTH_SOCK: agentSocket } });
    return agent;
  };
  const managerIsUp = async () =>
    (await lab.jump.exec(["test", "-e", "/run/user/1500/systemd/private"])).code === 0;
  const userctl = (...args: string[]) =>
    lab.jump.run(["systemctl", "--user", ...args], {
      user: "builder",
      env: { XDG_RUNTIME_DIR: "/run/user/1500" },
    });
  const mainPid = async () =>
    Number((await userctl("show", "-p", "MainPID", "--value", "farside-agent")).trim());
  const states = async () => {
    const { json, transcript } = await farsideAgent(lab, "status", "--json");
    const forwards = json[0]?.["forwards"] as { id: string; state: State }[] | undefined;
    if (forwards === undefined) throw new Error(transcript);
    return Object.fromEntries(forwards.map(({ id, state }) => [id, state]));
  };
  const phases = async () =>
    Object.fromEntries(Object.entries(await states()).map(([id, { phase }]) => [id, phase]));
  const answers = async (port: number) => {
    const script = `exec 3<> /dev/tcp/127.0.0.1/${port}; echo hello >&3; read -r -t 15 line <&3; echo "$line"`;
    return (
      (await lab.jump.exec(["timeout", "20", "bash", "-c", script], { user: "builder" })).stdout === "hello\n"
    );
  };
  const compiledIsKept = () =>
    waitFor(async () => /\.cache$/m.test(await lab.jump.run(["ls", FOLDER])), {
      what: "what was compiled for the next start",
    });
  const install = async (...forwards: object[]) => {
    await lab.workstation.writeFile(FILE, fileOf(...forwards));
    const { code, transcript } = await farsideAgent(lab, "install", "-f", FILE);
    expect(code, transcript).toBe(0);
    return transcript;
  };

  test("needs one PIN, stays when its operator goes, and comes back with its host; what lives there needs nobody", async () => {
    const said = await install(sign, unattended, own, direct);
    expect(said.match(/PIN entr/g)).toHaveLength(1);
    expect(said).not.toMatch(/warning/);
    // Nobody is logged in any more, and the card is out of reach.
    await waitFor(
      async () => !(await lab.jump.run(["loginctl", "list-sessions", "--no-legend"])).includes("builder"),
      {
        what: "the end of the login",
      },
    );
    for (const port of [4444, 4445, 4446, 4447]) expect(await answers(port), String(port)).toBe(true);
    await compiledIsKept();
    const before = await mainPid();
    await lab.jump.run(["systemctl", "restart", "user@1500.service"]);
    await waitFor(async () => (await managerIsUp()) && (await mainPid()) > 0, {
      what: "the agent, started again",
    });
    expect(await mainPid()).not.toBe(before);
    await waitFor(() => answers(4445), { what: "the forward whose key lives there", withinMs: 20_000 });
    await waitFor(() => answers(4447), { what: "the forward with the host's ssh-agent", withinMs: 20_000 });
    expect(await phases()).toEqual({
      sign: "needs-signature",
      unattended: "open",
      own: "open",
      direct: "open",
    });
    const attached = await farsideAgent(lab, "attach", "--once");
    expect(attached.code, attached.transcript).toBe(0);
    expect(attached.stderr).toContain("signed the login to signer@");
    expect((await farsideAgent(lab, "logs", "--lines", "50")).stdout).toContain('"wasCompiled":true');
    // Without the card from here on.
    expect(await answers(4444)).toBe(true);
    await sshAgent.kill();
    await userctl("restart", "farside-agent");
    const lastError = { code: "identity.agent-unavailable", leg: "hop" };
    // Its listeners are there before its hops are.
    await expect.poll(states, { timeout: 20_000 }).toMatchObject({
      unattended: { phase: "open" },
      own: { phase: "opening", lastError },
    });
    sshAgent = await startSshAgent();
    await waitFor(() => answers(4447), { what: "the forward, its ssh-agent being back", withinMs: 20_000 });
  });

  test("an upgrade under 200 connections a second refuses none, and systemd knows the new process", async () => {
    await install(sign, { ...direct, listen: SOCKET });
    // Another digest: the same program as an older version would have it.
    await lab.jump.run(["sh", "-c", `f=$(readlink -f ${FOLDER}/agent.cjs); echo >> "$f"`]);
    const before = await mainPid();
    const client = lab.jump.spawn(
      [...(await installProgram(lab.jump, "steady-client")), "4444", SOCKET, "200"],
      {
        user: "builder",
      },
    );
    await waitFor(() => client.stdout.includes("going"), { what: "the load", withinMs: 20_000 });
    const upgraded = await farsideAgent(lab, "upgrade", "--json");
    expect(upgraded.code, upgraded.transcript).toBe(0);
    expect(upgraded.json[0]).toMatchObject({ upgraded: true });
    await waitFor(async () => (await mainPid()) === Number(upgraded.json[0]?.["pid"]), {
      what: "the new main process",
    }).catch(() => {});
    expect(await mainPid()).not.toBe(before);
    expect((await userctl("is-active", "farside-agent")).trim()).toBe("active");
    client.stdin.end();
    await client.exit;
    const seen = JSON.parse(client.stdout.trim().split("\n").at(-1) ?? "{}") as {
      started: number;
      failed: number;
    };
    expect(seen).toMatchObject({ failed: 0, done: seen.started });
    expect(seen.started).toBeGreaterThan(200);
    await waitFor(async () => (await lab.jump.exec(["test", "-d", `/proc/${before}`])).code !== 0, {
      what: "the end of the old process",
    });
    expect((await farsideAgent(lab, "upgrade")).stdout).toContain("of this version already");
  });

  test("the card signs for what the operator's own file says, not for what the build server says", async () => {
    await install(sign);
    const config = JSON.parse(await lab.jump.readFile(`${FOLDER}/forwards.json`)) as {
      forwards: { route: { user: string; hostKeys: string[] }[] }[];
    };
    const [hop] = config.forwards[0]?.route ?? [];
    if (hop === undefined) throw new Error("no hop");
    // A build server that was broken into wants another user's login, under the id of the hop that it was given.
    hop.user = "root";
    const keys = (await lab.card.publicKeys()).join("\n");
    await lab.target.writeFile("/root/.ssh/authorized_keys", `${keys}\n`);
    await lab.target.run(["chmod", "600", "/root/.ssh/authorized_keys"]);
    await lab.jump.writeFile(`${FOLDER}/forwards.json`, JSON.stringify(config), { user: "builder" });
    await userctl("restart", "farside-agent");
    await using attach = startFarsideAgent(lab, "attach", "--log-level", "debug");
    await waitFor(() => /refused.*user/.test(attach.stderr), {
      ...{ what: "the refusal", withinMs: 20_000 },
      detail: () => attach.stderr,
    });
    expect(attach.stderr).not.toContain("signed the login");
    await attach.signal("SIGINT");
    expect(await attach.exit).toMatchObject({ code: 0 });
  });

  test("apply shows what changes, changes only that, and a mistake is told with its place before anybody logs in", async () => {
    const far = { ...direct, id: "far", listen: 4448, via: TARGET_LOGIN, target: "localhost:4444" };
    const socket = { ...direct, id: "socket", listen: SOCKET };
    await install(sign, direct, unattended, far, socket);
    const relays = lab.jump.spawn(["node", "-e", fiveRelays("4444", "4446", "4445", "4448", SOCKET)], {
      user: "builder",
    });
    const say = async (text: string, ...from: number[]) => {
      relays.stdin.write(`${text}\n`);
      const all = () => from.every((index) => relays.stdout.includes(`${index} ${text}\n`));
      await waitFor(all, { what: `${text} from ${from}`, detail: () => relays.stdout });
    };
    await say("one", 0, 1, 2, 3, 4);
    await lab.workstation.writeFile(FILE, fileOf({ ...sign, listen: 5555 }, direct, unattended, far, socket));
    const dry = await farsideAgent(lab, "apply", "-f", FILE, "--dry-run");
    const same = ["direct", "unattended", "far", "socket"].map((id) => `  ${id}: unchanged\n`);
    expect(dry.stdout).toBe(`~ sign: changed (listen)\n${same.join("")}`);
    const applied = await farsideAgent(lab, "apply", "-f", FILE, "--grace", "0");
    expect(applied.code, applied.transcript).toBe(0);
    expect(Object.values(await phases())).toEqual(["open", "open", "open", "open", "open"]);
    expect([await answers(5555), await answers(4445), await answers(4444)]).toEqual([true, true, false]);
    await waitFor(() => relays.stdout.includes("0 cut"), { what: "the end of the relay that changed" });
    await say("two", 1, 2, 3, 4);
    // The one that changed, and no other.
    expect(relays.stdout.match(/\d cut/g)).toEqual(["0 cut"]);
    await relays.kill();
    await lab.workstation.writeFile(FILE, "forwards:\n  - id: a\n    listen: 44x4\n    target: b:1\n");
    const wrong = await farsideAgent(lab, "apply", "-f", FILE);
    expect([wrong.code, wrong.stderr]).toEqual([
      78,
      expect.stringContaining(`error[config.invalid]: reading ${FILE}:3:13: `),
    ]);
    expect(wrong.stderr).not.toContain("PIN");
  });

  test("uninstall leaves nothing, is idempotent, and says so", async () => {
    // The ssh-agent of the login is another one since the first test.
    await lab.jump.mark();
    await install(sign, direct);
    const status = await farsideAgent(lab, "status");
    expect(status.stdout).toMatch(/^agent agent on builder@172\.16\.16\.158: active \(systemd\)/);
    expect(status.stdout).toContain("  lingering is on for builder: it goes on without a login");
    const logs = await farsideAgent(lab, "logs", "--lines", "50");
    expect(logs.stdout).toContain('"message":"agent ready"');
    await compiledIsKept();
    const receipt = await farsideAgent(lab, "uninstall", "--json");
    expect(receipt.code, receipt.transcript).toBe(0);
    expect(receipt.json[0]).toMatchObject({ clean: true, processes: [], listeners: [], files: [] });
    // systemd's own come and go.
    const ofSystemd =
      /^(?:unix )?\/(?:run|var\/lib\/systemd)\/|^\d+ uid \d+ \S*(?:systemd|\(sd-pam\)|dbus-daemon)/;
    const left = async () => {
      const { processes, listeners, files } = await lab.jump.residue();
      const own = (lines: readonly string[]) =>
        lines.filter((each) => !ofSystemd.test(each) && !each.includes("sshd"));
      return { processes: own(processes), listeners: own(listeners), files: own(files) };
    };
    await waitFor(async () => isNothing(await left()), { what: "nothing left" }).catch(() => {});
    expect(await left()).toEqual({ processes: [], listeners: [], files: [] });
    expect(await userctl("list-units", "--all", "--no-legend", "farside*")).toBe("");
    expect(await lab.workstation.run(["find", "/root/.local/state/farside/agents", "-type", "f"])).toBe("");
    const again = await farsideAgent(lab, "uninstall");
    expect([again.code, again.stderr]).toEqual([0, expect.stringContaining("nothing to stop")]);
  });

  test("says that it ends with the login where lingering is off, and how to turn it on", async () => {
    await lab.jump.run(["loginctl", "disable-linger", "builder"]);
    try {
      expect(await install(direct)).toContain("loginctl enable-linger builder");
      await waitFor(async () => !(await answers(4446)), { what: "its end with the login", withinMs: 20_000 });
    } finally {
      await lab.jump.run(["loginctl", "enable-linger", "builder"]);
    }
  });
});
