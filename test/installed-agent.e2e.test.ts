import { createHash } from "node:crypto";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Lab, startLab, TARGET } from "./lab/lab.ts";
import type { LabProcess } from "./lab/lab-process.ts";
import { installProgram } from "./lab/program.ts";
import { farsideAgent, startFarsideAgent } from "./support/agent-cli.ts";
import { describeLab } from "./support/describe-lab.ts";
import { expectError } from "./support/expect-error.ts";
import { cliPath, JUMP_LOGIN, runFarside, TARGET_LOGIN } from "./support/farside.ts";
import { isNothing } from "./support/leftovers.ts";
import { waitFor } from "./support/wait-for.ts";

const FILE = "/root/forwards.yaml";
const KEY = "/home/builder/.ssh/id_ed25519";
const SOCKET = "/home/builder/f.sock";
const FOLDER = "/home/builder/.local/share/farside/agent";
const sign = { id: "sign", listen: 4444 };
const unattended = { id: "unattended", listen: 4445, identity: { "key-file": KEY } };
/** With the ssh-agent that the environment of the login's services names. */
const agentSocket = "/home/builder/ssh-agent";
const own = { id: "own", listen: 4447, identity: { "ssh-agent": "SSH_AUTH_SOCK" } };
const direct = { id: "direct", listen: 4446, via: [] as string[], target: `${TARGET}:4444` };

/** JSON is YAML. */
const fileOf = (...forwards: object[]) =>
  JSON.stringify({
    defaults: { via: TARGET_LOGIN },
    forwards: forwards.map((each) => ({ target: "localhost:4444", ...each })),
  });

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
    const script = `exec 3<> /dev/tcp/127.0.0.1/${port}; echo hello >&3; read -r -t 5 line <&3; echo "$line"`;
    return (
      (await lab.jump.exec(["timeout", "10", "bash", "-c", script], { user: "builder" })).stdout === "hello\n"
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
    expect(await states()).toMatchObject({
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
    expect(dry.stdout).toBe(`~ sign: changed (bind)\n${same.join("")}`);
    const applied = await farsideAgent(lab, "apply", "-f", FILE, "--grace", "0");
    expect(applied.code, applied.transcript).toBe(0);
    expect(Object.values(await phases())).toEqual(["open", "open", "open", "open", "open"]);
    expect([await answers(5555), await answers(4445), await answers(4444)]).toEqual([true, true, false]);
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

describeLab("an agent installed on a build server without systemd", () => {
  test("is kept running by a supervisor, says that it won't survive a reboot, and can be upgraded and removed", async () => {
    await using lab = await startLab({ card: false });
    await lab.workstation.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/root/.ssh/id_ed25519"]);
    await lab.authorize(await lab.workstation.readFile("/root/.ssh/id_ed25519.pub"));
    const key = ["--identity", "/root/.ssh/id_ed25519"];
    const run = (subcommand: string, ...args: string[]) => farsideAgent(lab, subcommand, ...key, ...args);
    const login = { id: "login", listen: 4444, target: "localhost:22", via: TARGET_LOGIN };
    await lab.workstation.writeFile(
      FILE,
      JSON.stringify({ ...JSON.parse(fileOf(login)), "metrics-port": 9100 }),
    );
    await lab.jump.mark();
    const nothingLeft = async () => {
      const isSo = async () => isNothing(await lab.jump.residue());
      await waitFor(isSo, { what: "nothing left", withinMs: 30_000 }).catch(() => {});
      expect(await lab.jump.residue()).toEqual({ processes: [], listeners: [], files: [] });
    };
    // Ctrl-C while it is being put there: nobody would know of what is left.
    const interrupted = startFarsideAgent(lab, "install", ...key, "-f", FILE);
    await waitFor(() => interrupted.stderr.includes("installing the agent"), {
      ...{ what: "the installation", withinMs: 20_000 },
      detail: () => interrupted.stderr,
    });
    await interrupted.signal("SIGINT");
    expect((await interrupted.exit).code).toBe(130);
    await nothingLeft();
    const installed = await run("install", "-f", FILE);
    expect(installed.code, installed.transcript).toBe(0);
    expect(installed.stderr).toContain("won't survive a reboot");
    const pid = async () =>
      (JSON.parse(await lab.jump.readFile(`${FOLDER}/agent.lock`)) as { pid: number }).pid;
    const first = await pid();
    await lab.jump.run(["kill", "-9", String(first)]);
    await waitFor(async () => (await pid()) !== first, {
      what: "the agent, started again",
      withinMs: 20_000,
    });
    const attached = await run("attach", "--once");
    expect(attached.code, attached.transcript).toBe(0);
    // No session gets its port, not by force.
    const session = ["forward", JUMP_LOGIN, "-L", "4444:localhost:9", "--take-over", ...key];
    await expectError(runFarside(lab, session, { pin: false }), {
      ...{
        code: "forward.port-in-use",
        leg: "bind",
        says: /pid \d+ \(farside-installed agent\) holds the port/,
      },
      hint: /installed agent agent.*farside agent apply.*farside agent uninstall/,
    });
    await expectTeardownThere(lab, key);
    await lab.jump.run(["sh", "-c", `f=$(readlink -f ${FOLDER}/agent.cjs); echo >> "$f"`]);
    const upgraded = await run("upgrade", "--json");
    expect(upgraded.json[0], upgraded.transcript).toMatchObject({
      upgraded: true,
      forwards: [{ id: "login", state: { phase: "open" } }],
    });
    expect((await run("logs")).stdout).toContain('"message":"agent ready"');
    await expectAuditShown(lab, key);
    // A reboot, as far as it concerns an agent: its processes are gone, its files are there.
    for (const lock of ["supervisor.lock", "agent.lock"]) {
      const holder = JSON.parse(await lab.jump.readFile(`${FOLDER}/${lock}`)) as { pid: number };
      await lab.jump.run(["kill", "-9", String(holder.pid)]);
    }
    const again = await run("install", "-f", FILE);
    expect([again.code, again.stderr], again.transcript).toEqual([
      0,
      expect.stringContaining("installed anew"),
    ]);
    expect((await run("uninstall")).code).toBe(0);
    await nothingLeft();
  });
});

/** What is done to the agent's log on its host behind a status is found from the workstation, which logs in and reads it. */
async function expectAuditShown(lab: Lab, key: readonly string[]): Promise<void> {
  const file = `${FOLDER}/audit.jsonl`;
  const written = async () => (await lab.jump.readFile(file)).trimEnd().split("\n");
  const events = async () => (await written()).map((line) => (JSON.parse(line) as { event: string }).event);
  await waitFor(async () => (await events()).at(-1) === "stop", {
    what: "the end of the process before the upgrade",
  });
  expect((await events()).slice(-4)).toContain("upgraded");
  const status = await farsideAgent(lab, "status", ...key);
  expect([status.code, status.stdout]).toEqual([
    0,
    expect.stringContaining("metrics and health on 127.0.0.1:9100 and [::1]:9100"),
  ]);
  const verify = async () => {
    const command = ["audit", "verify", "--json", "--agent", `${JUMP_LOGIN}/agent`, ...key];
    const { code, stdout, stderr } = await lab.workstation.exec(["node", cliPath, ...command]);
    const report = stdout === "" ? {} : (JSON.parse(stdout) as Record<string, unknown>);
    return { code, stderr, report };
  };
  const whole = await verify();
  expect(whole.code, whole.stderr).toBe(0);
  expect(whole.report).toMatchObject({ ok: true, findings: [], notes: [] });
  const lines = await written();
  const put = async (others: readonly string[]) => {
    const head = { seq: others.length, hash: sha256(others.at(-1) ?? "") };
    await lab.jump.writeFile(file, others.map((line) => `${line}\n`).join(""), { user: "builder" });
    await lab.jump.writeFile(`${FOLDER}/audit.head`, JSON.stringify(head), { user: "builder" });
  };
  await put(lines.slice(0, -1));
  expect(await verify()).toMatchObject({
    code: 77,
    stderr: expect.stringContaining("error[audit.broken]"),
    report: { ok: false, findings: [{ kind: "missing", seq: lines.length }] },
  });
  // From its second line on, with hashes that fit.
  let prev = sha256(lines[0] ?? "");
  const forged = lines.slice(1).map((line, index) => {
    const fields = { ...JSON.parse(line), ...(index === 0 && { at: "2020-01-01T00:00:00.000Z" }), prev };
    const other = JSON.stringify(
      Object.fromEntries(Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1))),
    );
    prev = sha256(other);
    return other;
  });
  await put([lines[0] ?? "", ...forged]);
  const changed = { kind: "changed", seq: lines.length };
  expect(await verify()).toMatchObject({
    code: 77,
    report: { ok: false, findings: expect.arrayContaining([expect.objectContaining(changed)]) },
  });
  await put(lines);
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Its own bundle ends what others have left on the host, says what it can't end, and lets the installed agent be. */
async function expectTeardownThere(lab: Lab, key: readonly string[]): Promise<void> {
  const left = ["forward", JUMP_LOGIN, "-L", "4555:localhost:9", "--detach", "--ttl", "5m", "--name", "left"];
  const session = runFarside(lab, [...left, ...key], { pin: false });
  expect((await session.exit).code, session.transcript).toBe(0);
  const agentLock = await lab.jump.readFile(`${FOLDER}/agent.lock`);
  // Somebody else's socket, where those of agents are.
  const foreign = "/tmp/farside-1500/other.sock";
  const listen = `net.createServer().listen(${JSON.stringify(foreign)}, () => console.log("up"))`;
  const other = lab.jump.spawn(["node", "-e", listen], { user: "builder" });
  await waitFor(() => other.stdout.includes("up"), { what: "the other socket" });
  const teardown = async (...words: string[]) => {
    const { code, stdout } = await lab.jump.exec(["node", `${FOLDER}/agent.cjs`, "teardown", ...words], {
      user: "builder",
    });
    return { code, stdout, receipt: words.includes("--json") ? JSON.parse(stdout) : undefined };
  };
  const first = await teardown("--json");
  expect(first).toMatchObject({
    code: 75,
    receipt: { session: "*", processes: [], listeners: [], files: [foreign], clean: false },
  });
  await other.kill();
  const second = await teardown("--json");
  expect(second).toMatchObject({ code: 0, receipt: { processes: [], files: [], clean: true } });
  expect(await teardown()).toMatchObject({ code: 0, stdout: "nothing left\n" });
  expect(await lab.jump.readFile(`${FOLDER}/agent.lock`)).toBe(agentLock);
  const { pid } = JSON.parse(agentLock) as { pid: number };
  expect((await lab.jump.exec(["test", "-d", `/proc/${pid}`])).code).toBe(0);
  // The workstation finds nothing of its session any more.
  const ended = runFarside(lab, ["teardown", "left", "--json", ...key], { json: false, pin: false });
  expect((await ended.exit).code, ended.transcript).toBe(0);
}
