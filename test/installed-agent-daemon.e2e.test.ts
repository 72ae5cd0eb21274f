import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { emptyDisks, fillDisks } from "./lab/full-disks.ts";
import { type Lab, startLab } from "./lab/lab.ts";
import { farsideAgent, startFarsideAgent } from "./support/agent-cli.ts";
import { describeLab } from "./support/describe-lab.ts";
import { expectError } from "./support/expect-error.ts";
import { cliPath, JUMP_LOGIN, runFarside, TARGET_LOGIN } from "./support/farside.ts";
import { FILE, FOLDER, fileOf } from "./support/forwards-file.ts";
import { isNothing } from "./support/leftovers.ts";
import { waitFor } from "./support/wait-for.ts";

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
    await fillDisks(lab.jump);
    const full = await run("install", "-f", FILE);
    expect([full.code, full.stderr], full.transcript).toEqual([
      69,
      expect.stringMatching(
        /^error\[agent\.unsupported-host\]: writing \/home\/builder\/.*: no space left on the device.*\nhint: Make room/m,
      ),
    ]);
    await emptyDisks(lab.jump);
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
