import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { waitFor, within } from "../support/wait-for.ts";
import { eventOf, eventsOf, type Loopback, startLoopback, storedSessions } from "./loopback.ts";
import { runCli, startCli } from "./run-cli.ts";

let loopback: Loopback;
beforeAll(async () => {
  loopback = await startLoopback();
});
afterAll(() => loopback[Symbol.asyncDispose]());

const cli = (...argv: string[]) => runCli(argv, { env: loopback.environment });
const stored = () => storedSessions(loopback);

describe("farside status", () => {
  test("lists the sessions of this workstation, as a table and as JSON", async () => {
    expect(await cli("status")).toMatchObject({ code: 0, stdout: "no sessions\n" });
    expect(await cli("status", "--json")).toMatchObject({ code: 0, stdout: "" });
    await using run = loopback.start("--json", "--name", "first");
    await eventOf(run, "ready");
    const facts = await waitFor(
      async () => {
        const { stdout } = await cli("status", "--json");
        const session = JSON.parse(stdout) as { phase: string };
        return session.phase === "ready" ? session : undefined;
      },
      { what: "a session that is ready", everyMs: 200 },
    );
    expect(facts).toMatchObject({
      session: "first",
      host: loopback.host,
      pid: run.process.pid,
      openRelays: 0,
    });
    const table = await cli("status");
    expect(table.stdout).toMatch(/^SESSION +STATE +HOST.*\nfirst +ready +\S+@127\.0\.0\.1 /);
    run.process.kill("SIGINT");
    await within(run.result, 30_000, "the end");
    expect(await cli("status")).toMatchObject({ code: 0, stdout: "no sessions\n" });
  });
});

test("farside status --watch says what changes, and ends with exit code 0", async () => {
  await using watch = startCli(["status", "--watch"], { env: loopback.environment });
  await waitFor(() => watch.stdout === "no sessions\n", { what: "the first look", withinMs: 30_000 });
  await using run = loopback.start("--json", "--name", "watched");
  await eventOf(run, "ready");
  await waitFor(() => /\nwatched +ready /.test(watch.stdout), {
    what: "the session",
    detail: () => watch.stdout,
  });
  watch.process.kill("SIGINT");
  expect((await within(watch.result, 30_000, "its end")).code).toBe(0);
  run.process.kill("SIGINT");
  expect((await within(run.result, 30_000, "the end")).code).toBe(0);
});

describe("farside teardown", () => {
  test("ends a session that runs, says that nothing is left, and is idempotent", async () => {
    await using run = loopback.start("--json", "--name", "second");
    await eventOf(run, "ready");
    const first = await cli("teardown", "second", "--json");
    expect(first.code).toBe(0);
    expect(JSON.parse(first.stdout)).toMatchObject({ session: "second", clean: true, processes: [] });
    const { code, stdout } = await within(run.result, 30_000, "the end");
    expect(code).toBe(0);
    expect(eventsOf(stdout).at(-1)).toMatchObject({ event: "receipt", clean: true });
    const again = await cli("teardown", "second");
    expect(again).toMatchObject({ code: 0, stdout: "" });
    expect(again.stderr).toContain("nothing to end");
  });

  test("logs in to look, where the session's farside was killed, as the session did", async () => {
    await using run = loopback.start("--json", "--name", "third");
    await eventOf(run, "ready");
    run.process.kill("SIGKILL");
    await run.result;
    expect((await cli("status")).stdout).toMatch(/third +lost /);
    const { code, stdout } = await cli("teardown", "--all", "--json");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ session: "third", host: loopback.host, clean: true });
    expect(await stored()).toEqual([]);
  });

  test("says 75 where nobody can look, and keeps the session for the next try", async () => {
    await using run = loopback.start("--json", "--name", "fourth");
    await eventOf(run, "ready");
    run.process.kill("SIGKILL");
    await run.result;
    const blind = await cli("teardown", "fourth", "-F", "none", "--identity", "/no/such/key");
    expect(blind.code).toBe(75);
    expect(blind.stderr).toContain("what is left is not known");
    expect(await stored()).toEqual(["fourth"]);
    expect((await cli("teardown", "fourth", ...loopback.login)).code).toBe(0);
  });

  test("wants to be told what", async () => {
    expect((await cli("teardown")).stderr).toContain("say which session to end, or --all");
    expect((await cli("teardown", "a", "--all")).code).toBe(64);
    expect((await cli("teardown", "--all")).code).toBe(0);
  });
});

test("a name is taken while its session lives", async () => {
  await using run = loopback.start("--json", "--name", "fifth");
  await eventOf(run, "ready");
  const { code, stderr } = await cli(...loopback.job("--name", "fifth"));
  expect(code).toBe(64);
  expect(stderr).toContain("error[session.name-in-use]");
  run.process.kill("SIGTERM");
  expect((await within(run.result, 30_000, "the end")).code).toBe(0);
});
