import { once } from "node:events";
import { access, appendFile, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer } from "node:net";
import { fingerprint } from "@farside/ssh";
import { type Sshd, startSshd } from "@farside/ssh/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { waitFor, within } from "../support/wait-for.ts";
import { eventOf, eventsOf, type Loopback, startLoopback } from "./loopback.ts";
import { runCli, startCli } from "./run-cli.ts";
import { TerminalRun } from "./terminal-run.ts";

let loopback: Loopback;
/** A host on the way to the jump host, which shows a banner. */
let bastion: Sshd;
beforeAll(async () => {
  loopback = await startLoopback();
  const banner = loopback.sshd.folder.file("banner");
  await writeFile(banner, "Authorized use only\u001b[31m\n");
  bastion = await startSshd({ authorizedKeys: [loopback.sshd.userKey.line], config: [`Banner ${banner}`] });
  const [hostKey] = bastion.hostKeys;
  await appendFile(loopback.knownHosts, `[127.0.0.1]:${bastion.port} ${hostKey?.line}\n`);
});
afterAll(async () => {
  await bastion[Symbol.asyncDispose]();
  await loopback[Symbol.asyncDispose]();
});

const viaBastion = () => ["-J", `${bastion.user}@127.0.0.1:${bastion.port}`];

describe("hops on the way to the jump host", () => {
  test("are those of -J: each is logged in to", async () => {
    await using run = loopback.start("--json", ...viaBastion());
    await eventOf(run, "ready");
    const hops = eventsOf(run.stdout).filter(({ event }) => event === "hop.connected");
    expect(hops).toMatchObject([
      { leg: "jump", port: bastion.port },
      { leg: "jump", port: loopback.sshd.port },
    ]);
    run.process.kill("SIGINT");
    expect((await within(run.result, 30_000, "the end")).code).toBe(0);
  });

  test("have their banners shown, without control characters", async () => {
    await using run = loopback.start(...viaBastion());
    await waitFor(() => /ready: session/.test(run.stderr), { what: "ready", withinMs: 30_000 });
    expect(run.stderr).toContain("banner: Authorized use only");
    expect(run.stderr).not.toContain("\u001b");
    run.process.kill("SIGINT");
    expect((await within(run.result, 30_000, "the end")).code).toBe(0);
  });

  test("are gone through again by teardown, which needs no option of the session's", async () => {
    await using run = loopback.start("--json", "--name", "behind", ...viaBastion());
    await eventOf(run, "ready");
    run.process.kill("SIGKILL");
    await run.result;
    const before = loginsIn(await bastion.log());
    const { code, stdout, stderr } = await runCli(["teardown", "behind", "--json"], {
      env: loopback.environment,
    });
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ session: "behind", clean: true });
    expect(loginsIn(await bastion.log())).toBe(before + 1);
  });
});

describe("ssh_config", () => {
  test("with an option that can't be kept brings a warning that names it", async () => {
    await using run = loopback.start("--json", "-o", "ControlMaster=auto", "-o", "Compression=yes");
    await eventOf(run, "ready");
    const warnings = eventsOf(run.stdout).flatMap((one) => (one.event === "warning" ? [one.message] : []));
    expect(warnings.join("\n")).toMatch(/ControlMaster/);
    expect(warnings.join("\n")).toMatch(/Compression/);
    run.process.kill("SIGINT");
    expect((await within(run.result, 30_000, "the end")).code).toBe(0);
  });

  test("with BatchMode asks nobody, not even in a terminal: an unknown host key is an error", async () => {
    const empty = `${loopback.knownHosts}.batch`;
    const argv = loopback
      .job("--host-key-check", "ask", "-o", "BatchMode=yes")
      .map((word) => (word === loopback.knownHosts ? empty : word));
    await using terminal = new TerminalRun(argv, loopback.environment);
    const text = await terminal.end();
    expect(text).toContain("error[host-key.unknown]");
    expect(text).toContain("exit 77");
    expect(text).not.toContain("(yes/no)");
  });
});

test("a jump host may have nothing but an IPv6 address, with the interface that it is reached through", async () => {
  const own = createServer((socket) => {
    const there = connect(loopback.sshd.port, "127.0.0.1");
    for (const end of [socket, there]) end.on("error", () => undefined);
    socket.pipe(there).pipe(socket);
  });
  await once(own.listen(0, "::1"), "listening");
  const { port } = own.address() as AddressInfo;
  const place = `${loopback.sshd.user}@[::1%lo]:${port}`;
  const options = ["--json", "--host-key-check", "accept-new"];
  const argv = loopback.job(...options).filter((word, at, all) => word !== "-p" && all[at - 1] !== "-p");
  await using run = startCli(
    argv.map((word) => (word === loopback.host ? place : word)),
    { env: loopback.environment },
  );
  await eventOf(run, "ready");
  expect(eventsOf(run.stdout).find(({ event }) => event === "hop.connected")).toMatchObject({
    ...{ host: "::1%lo", port },
  });
  run.process.kill("SIGINT");
  const { code, stdout } = await within(run.result, 30_000, "the end");
  expect([code, eventsOf(stdout).at(-1)]).toMatchObject([0, { event: "receipt", clean: true }]);
  own.close();
});

test("--via-host-key stands for a line of known_hosts, and for no other key", async () => {
  const [key] = bastion.hostKeys;
  if (key === undefined) throw new Error("no host key");
  const only = `${loopback.knownHosts}.only`;
  const known = loopback.sshd.hostKeys.map(({ line }) => `[127.0.0.1]:${loopback.sshd.port} ${line}\n`);
  await writeFile(only, known.join(""));
  const job = (pinned: string) =>
    loopback
      .job(
        "--json",
        "--via",
        `${bastion.user}@127.0.0.1:${bastion.port}`,
        "--via-host-key",
        `127.0.0.1=${pinned}`,
      )
      .map((word) => (word === loopback.knownHosts ? only : word));
  await using run = startCli(job(fingerprint(key.publicKey.blob)), { env: loopback.environment });
  await eventOf(run, "ready");
  run.process.kill("SIGINT");
  expect((await within(run.result, 30_000, "the end")).code).toBe(0);
  const refused = await runCli(job(`SHA256:${"A".repeat(43)}`), { env: loopback.environment });
  expect(refused.code).toBe(77);
  expect(eventsOf(refused.stdout).at(-1)).toMatchObject({
    event: "error",
    code: "host-key.changed",
    leg: "hop",
  });
});

test("one login and one command start the agent; the receipt's look comes over the same connection", async () => {
  const counts = async () => {
    const log = await loopback.sshd.log();
    return { logins: loginsIn(log), commands: log.match(/Starting session: /g)?.length ?? 0 };
  };
  const before = await counts();
  await using run = loopback.start("--json");
  await eventOf(run, "ready");
  const atReady = await counts();
  expect(atReady).toEqual({ logins: before.logins + 1, commands: before.commands + 1 });
  run.process.kill("SIGINT");
  expect((await within(run.result, 30_000, "the end")).code).toBe(0);
  const after = await counts();
  expect(after.logins).toBe(atReady.logins);
  expect(after.commands).toBeGreaterThan(atReady.commands);
});

describe("a session's limits", () => {
  // --ttl counts from the agent's start, and has to leave it time to be ready. They mostly wait: at the same time.
  test.concurrent.for([
    ["--ttl", "3s"],
    ["--idle", "1s"],
  ])("%s %s ends it by itself: exit 69, and nothing is left", async (limit, { expect }) => {
    await using run = loopback.start("--json", ...limit);
    const { code, stdout } = await within(run.result, 30_000, "the end");
    expect(code).toBe(69);
    const events = eventsOf(stdout);
    expect(events.map(({ event }) => event)).toContain("ready");
    expect(events.slice(-2)).toMatchObject([
      { event: "receipt", clean: true },
      { event: "error", code: "session.limit-reached" },
    ]);
  });
});

test("a third signal drops a session whose agent answers nothing, and says that nobody looked", async () => {
  await using run = loopback.start("--json", "--grace", "60s", "--name", "stuck");
  const { pid } = await eventOf(run, "agent.ready");
  await eventOf(run, "ready");
  process.kill(pid, "SIGSTOP");
  try {
    const ended = within(run.result, 30_000, "the end");
    let signals = 0;
    const send = () => {
      signals += 1;
      run.process.kill("SIGINT");
    };
    send();
    // One that is taken less than a second after the one before is the same key press, and not counted: then it is the next.
    const more = setInterval(send, 1_100);
    const { code, stdout } = await ended.finally(() => clearInterval(more));
    expect(signals).toBeGreaterThanOrEqual(3);
    expect(code).toBe(75);
    expect(eventsOf(stdout).filter(({ event }) => event === "receipt")).toMatchObject([{ clean: false }]);
  } finally {
    // Where farside has ended it after all, what is wrong has been said above.
    await access(`/proc/${pid}`).then(
      () => process.kill(pid, "SIGKILL"),
      () => undefined,
    );
  }
  expect((await runCli(["teardown", "stuck"], { env: loopback.environment })).code).toBe(0);
});

function loginsIn(log: string): number {
  return log.match(/Accepted publickey/g)?.length ?? 0;
}
