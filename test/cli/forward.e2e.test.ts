import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, readFile, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { waitFor, within } from "../support/wait-for.ts";
import { eventOf, eventsOf, type Loopback, portOf, startLoopback, storedSessions } from "./loopback.ts";
import { CliRun, cliPath, runCli, startCli } from "./run-cli.ts";

let loopback: Loopback;
beforeAll(async () => {
  loopback = await startLoopback();
});
afterAll(() => loopback[Symbol.asyncDispose]());

const isOfEnd = (phase: string): boolean => phase === "draining" || phase === "closed";

async function roundTrip(port: number, text: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.end(text);
  let answer = "";
  for await (const chunk of socket) answer += String(chunk);
  return answer;
}

/** Resolves once nobody listens there any more: farside has taken the signal that ends it. */
function isTaken(port: number): Promise<true> {
  const isRefused = () =>
    new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1");
      socket.once("error", () => resolve(true)).once("connect", () => resolve(false));
      socket.once("connect", () => socket.destroy());
    });
  return waitFor(async () => (await isRefused()) && (true as const), { what: "the listener's end" });
}

describe("a forward until Ctrl-C", () => {
  test("with --json: one event a line and nothing else, bytes go through, exit 0 with a clean receipt", async () => {
    await using run = loopback.start("--json");
    const ready = await eventOf(run, "ready");
    expect(await roundTrip(portOf(ready), "hello")).toBe("hello");
    await eventOf(run, "relay.close");
    run.process.kill("SIGINT");
    const { code, stdout, stderr } = await within(run.result, 30_000, "the end");
    // An agent that is held up tells, too, that its listener is closed and its relays have their grace.
    const events = eventsOf(stdout).filter((one) => !(one.event === "forward.state" && isOfEnd(one.phase)));
    expect(events.map(({ event: name }) => name)).toEqual([
      ...["hop.connected", "agent.ready", "forward.open", "ready", "relay.open", "relay.close", "receipt"],
    ]);
    expect(events.at(-1)).toMatchObject({
      session: ready.session,
      clean: true,
      processes: [],
      listeners: [],
      files: [],
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  });

  test("for people: plain lines on stderr, nothing on stdout, and the receipt in words", async () => {
    await using run = loopback.start();
    await waitFor(() => run.stderr.includes("ready: session"), {
      what: "ready",
      withinMs: 30_000,
      detail: () => run.stderr,
    });
    run.process.kill("SIGTERM");
    const { code, stdout, stderr } = await within(run.result, 30_000, "the end");
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    expect(stderr).toContain(`nothing left on ${loopback.host}: 0 processes, 0 listeners, 0 files\n`);
    expect(stderr).not.toContain("\u001b");
  });

  test("SIGHUP ends it as SIGTERM does: exit 0 with a clean receipt", async () => {
    await using run = loopback.start("--json");
    await eventOf(run, "ready");
    run.process.kill("SIGHUP");
    const { code, stdout } = await within(run.result, 30_000, "the end");
    expect(code).toBe(0);
    expect(eventsOf(stdout).at(-1)).toMatchObject({ event: "receipt", clean: true });
  });

  test("two SIGINTs 50 ms apart are one Ctrl-C: an open connection keeps its grace", async () => {
    await using run = loopback.start("--json", "--grace", "30s");
    const socket = connect(portOf(await eventOf(run, "ready")), "127.0.0.1");
    socket.write("a");
    await once(socket, "data");
    run.process.kill("SIGINT");
    await new Promise((resolve) => setTimeout(resolve, 50));
    run.process.kill("SIGINT");
    // Still served in its grace.
    socket.write("b");
    expect(String((await within(once(socket, "data"), 30_000, "the echo"))[0])).toBe("b");
    socket.end();
    const { code, stdout } = await within(run.result, 30_000, "the end");
    expect(code).toBe(0);
    expect(eventsOf(stdout).at(-1)).toMatchObject({ event: "receipt", clean: true });
    expect(eventsOf(stdout).find((one) => one.event === "relay.close")).toMatchObject({ reason: "end" });
  });

  test("a second SIGINT after a second ends the grace at once", async () => {
    await using run = loopback.start("--json", "--grace", "60s");
    const port = portOf(await eventOf(run, "ready"));
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => undefined);
    await eventOf(run, "relay.open");
    run.process.kill("SIGINT");
    // The second is counted from when it has taken the first.
    await isTaken(port);
    await new Promise((resolve) => setTimeout(resolve, 1_050));
    run.process.kill("SIGINT");
    const { code, stdout } = await within(run.result, 30_000, "the end");
    expect(code).toBe(0);
    expect(eventsOf(stdout).at(-1)).toMatchObject({ event: "receipt", clean: true });
  });

  test("a stdout that is closed does not keep the teardown from its end", async () => {
    await using run = loopback.start("--json");
    await eventOf(run, "ready");
    run.process.stdout?.destroy();
    run.process.kill("SIGINT");
    expect((await within(run.result, 30_000, "the end")).code).toBe(0);
    expect(await storedSessions(loopback)).toEqual([]);
  });

  test("a reader that stands still holds up nothing: relays go on, and the end comes", async () => {
    const child = spawn(process.execPath, [cliPath, ...loopback.job("--json")], {
      env: loopback.environment,
      detached: true,
      stdio: ["ignore", "pipe", "ignore"],
    });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    await waitFor(() => text.includes('"event":"ready"'), { what: "ready", withinMs: 30_000 });
    const ready = eventsOf(text).find((one) => one.event === "ready");
    const port = ready?.event === "ready" ? portOf(ready) : 0;
    child.stdout.pause();
    // More than a pipe holds and a queue keeps.
    for (let round = 0; round < 30; round += 1) {
      const answers = await Promise.all(Array.from({ length: 50 }, () => roundTrip(port, "x")));
      expect(answers.every((answer) => answer === "x")).toBe(true);
    }
    const closed = once(child, "exit");
    child.kill("SIGINT");
    expect(await within(closed, 30_000, "the end")).toEqual([0, null]);
    child.stdout.destroy();
  });

  test("a bug is one line, comes after a teardown, and exits with 70", async () => {
    // The only way in from outside: a module that is loaded before farside and throws where nobody catches.
    const bug = 'process.once("SIGUSR2", () => { throw new TypeError("a \u001b[31mbug"); })';
    await using run = startCli(loopback.job("--json"), {
      env: {
        ...loopback.environment,
        NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(bug)}`,
      },
    });
    await eventOf(run, "ready");
    run.process.kill("SIGUSR2");
    const { code, stdout, stderr } = await within(run.result, 30_000, "the end");
    expect(code).toBe(70);
    expect(eventsOf(stdout).at(-1)).toMatchObject({ event: "receipt", clean: true });
    expect(stderr).toMatch(
      /^error\[internal\]: a \\x1b\[31mbug\nhint: This is a bug: please report it[^\n]*\n$/,
    );
  });

  test("events go to a descriptor, and a ready file is there while it is ready", async () => {
    const readyFile = loopback.sshd.folder.file("ready");
    const child = spawn(
      process.execPath,
      [cliPath, ...loopback.job("--events", "fd:3", "--ready-file", readyFile)],
      {
        env: loopback.environment,
        detached: true,
        stdio: ["ignore", "pipe", "pipe", "pipe"],
      },
    );
    await using run = new CliRun(child);
    let text = "";
    child.stdio[3]?.on("data", (chunk: Buffer) => {
      text += String(chunk);
    });
    await waitFor(() => text.includes('"event":"ready"'), {
      what: "ready",
      withinMs: 30_000,
      detail: () => run.stderr,
    });
    expect(JSON.parse(await readFile(readyFile, "utf8"))).toMatchObject({ forwards: [{ id: "1" }] });
    child.kill("SIGINT");
    const { code, stdout } = await within(run.result, 30_000, "the end");
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    expect(eventsOf(text).at(-1)?.event).toBe("receipt");
    await expect(access(readyFile)).rejects.toThrow(/ENOENT/);
  });
});

describe("a forward that does not come about", () => {
  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 143],
  ] as const)("%s before it is ready: exit %i, and nothing is left", async (signal, code) => {
    // A host that answers nothing: there is no ready to race with.
    const silent = createServer();
    await once(silent.listen(0, "127.0.0.1"), "listening");
    const address = silent.address();
    const port = address !== null && typeof address === "object" ? address.port : 0;
    const accepted = once(silent, "connection");
    await using run = startCli(
      [
        "forward",
        "me@127.0.0.1",
        "-p",
        String(port),
        "-F",
        "none",
        "--identity",
        loopback.sshd.userKey.path,
        "-L",
        "0:a:1",
        "--json",
      ],
      { env: loopback.environment },
    );
    await within(accepted, 30_000, "the connection");
    run.process.kill(signal);
    const result = await within(run.result, 30_000, "the end");
    silent.close();
    expect(result.code).toBe(code);
    expect(eventsOf(result.stdout).at(-1)).toMatchObject({ event: "error", code: "canceled" });
    expect(result.stderr).toMatch(/^error\[canceled\]: /m);
  });

  test("SIGINT while the agent is on its way: exit 130, and a look at the host finds nothing", async () => {
    // Behind a hop that answers nothing it is not ready before the signal comes.
    const silent = createServer();
    await once(silent.listen(0, "127.0.0.1"), "listening");
    const { port } = silent.address() as AddressInfo;
    const hop = ["--via", `me@127.0.0.1:${port}`, "--via-host-key", `127.0.0.1=SHA256:${"A".repeat(43)}`];
    await using run = loopback.start("--json", ...hop);
    await eventOf(run, "hop.connected");
    run.process.kill("SIGINT");
    const { code, stdout } = await within(run.result, 30_000, "the end");
    expect(code).toBe(130);
    const events = eventsOf(stdout);
    expect(events.some(({ event }) => event === "ready")).toBe(false);
    expect(events.at(-1)).toMatchObject({ event: "error", code: "canceled" });
    for (const event of events) if (event.event === "receipt") expect(event.clean).toBe(true);
    silent.close();
  });

  test("an unknown host key: exit 77, the fingerprint, and no login", async () => {
    const empty = loopback.sshd.folder.file("empty_known_hosts");
    await writeFile(empty, "");
    const argv = loopback.job("--json").map((word) => (word === loopback.knownHosts ? empty : word));
    const { code, stdout, stderr } = await runCli(argv, { env: loopback.environment });
    expect(code).toBe(77);
    expect(eventsOf(stdout).map(({ event: name }) => name)).toEqual(["error"]);
    expect(stderr).toMatch(/error\[host-key\.unknown\]: .*SHA256:/);
  });

  test("an unreachable host: exit 69 and one error line", async () => {
    const { code, stderr } = await runCli(
      [
        "forward",
        "me@127.0.0.1",
        "-p",
        "1",
        "-F",
        "none",
        "--identity",
        loopback.sshd.userKey.path,
        "-L",
        "0:a:1",
      ],
      { env: loopback.environment },
    );
    expect(code).toBe(69);
    expect(stderr.match(/^error\[/gm)).toHaveLength(1);
    expect(stderr).toContain("error[hop.unreachable]: ");
  });

  test("a card that isn't there: its own error, and the module is named", async () => {
    const argv = loopback
      .job("--json", "--pkcs11-provider", "/no/such/module.so")
      .filter((word) => word !== "--identity" && word !== loopback.sshd.userKey.path);
    const { code, stderr } = await runCli(argv, { env: loopback.environment });
    expect(code).toBe(78);
    expect(stderr).toMatch(/error\[card\.module-not-found\]: .*\/no\/such\/module\.so/);
  });
});
