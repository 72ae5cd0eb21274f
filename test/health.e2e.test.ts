import { afterAll, beforeAll, expect, test } from "vitest";
import { type Lab, startLab } from "./lab/lab.ts";
import { exchangeBytes, startByteService } from "./support/byte-traffic.ts";
import { describeLab } from "./support/describe-lab.ts";
import { cliPath, type FarsideRun, mainJob, runFarside } from "./support/farside.ts";
import { CTRL_C, Terminal } from "./support/pty.ts";
import { waitFor } from "./support/wait-for.ts";

describeLab("the state of a forward", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await startLab();
  });
  afterAll(() => lab.close());

  /** What the port for metrics answers a user of the jump host: status and text, or why it does not. */
  const ask = async (page: string, user = "builder") => {
    const program = `fetch("http://localhost:9100${page}").then(
      async (answer) => console.log(answer.status, await answer.text()),
      (error) => console.log(error.cause?.code ?? error.message))`;
    return (await lab.jump.run(["node", "-e", program], { user })).trim();
  };
  /** What a user of the jump host who may not ask gets there. */
  const askAsIntruder = async () => {
    const program = `require("net").connect(9100, "127.0.0.1").on("error", ({ code }) => console.log(code))
      .on("data", (data) => console.log("data", String(data))).on("close", () => console.log("closed"))
      .write("GET /healthz HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n")`;
    return (await lab.jump.run(["node", "-e", program], { user: "intruder" })).trim();
  };
  /** Looks at each state that the page for health tells, for as long as it runs, and prints those that are new. */
  const watchHealth = () =>
    lab.jump.spawn(
      [
        ...["node", "-e"],
        `const seen = new Set();
        const look = async () => {
          const answer = await fetch("http://localhost:9100/healthz");
          const { forwards } = await answer.json();
          for (const { state } of forwards) if (!seen.has(state) && seen.add(state)) console.log(state);
          setImmediate(look);
        };
        look()`,
      ],
      { user: "builder" },
    );
  /**
   * Resolves when the forward is open and nothing more is told of its start: a first signature that takes more than a moment is told as
   * `needs-signature`, and a moment later that it is over. Then: the states that are told from now on.
   */
  const opened = async (farside: FarsideRun) => {
    await farside.ready();
    const states = () => farside.of("forward.state");
    await waitFor(() => (states().at(-1)?.phase ?? "open") === "open", { what: "the end of the start" });
    const before = states().length;
    return () => states().slice(before);
  };
  const status = async () => JSON.parse(await lab.workstation.run(["node", cliPath, "status", "--json"]));

  test("follows a hop that dies and comes back by itself, without a client and without a PIN, as its port for metrics says", async () => {
    await using service = await startByteService(lab.target, "4444", 5);
    await using farside = runFarside(lab, [...mainJob(), "--reattach", "--metrics-port", "9100"]);
    const states = await opened(farside);
    expect(farside.of("metrics.open")).toMatchObject([{ bind: ["127.0.0.1:9100", "[::1]:9100"] }]);
    expect(await ask("/metrics")).toMatch(
      /^200 [\s\S]*^farside_forward_state\{forward="1",state="open"\} 1$/m,
    );
    expect(await askAsIntruder()).toMatch(/^(?:ECONNRESET|EPIPE)\nclosed$/);
    await using watch = watchHealth();
    await waitFor(() => watch.stdout === "open\n", { what: "the page", detail: () => watch.stderr });
    await lab.target.sshd.stop();
    await lab.target.run(["sh", "-c", "pkill -u signer sshd || true"]);
    const degraded = await farside.waitForEvent("forward.state", ({ phase }) => phase === "degraded");
    expect(degraded).toMatchObject({
      forward: "1",
      leg: "hop",
      waitsFor: "the hop",
      retryInMs: expect.any(Number),
    });
    await waitFor(async () => (await status()).forwards[0]?.live?.phase === "degraded", {
      what: "the status",
    });
    expect(await ask("/healthz")).toMatch(/^503 .*"state":"degraded"/);
    const tries = () => states().filter(({ code }) => code === "hop.unreachable");
    await waitFor(() => tries().length >= 2, {
      what: "a second try in vain",
      detail: () => farside.transcript,
    });
    // The card is not asked for anything yet.
    expect(states().map(({ phase }) => phase)).not.toContain("needs-signature");
    await waitFor(() => watch.stdout !== "open\n", { what: "the page's news", detail: () => watch.stderr });
    expect(watch.stdout).toBe("open\ndegraded\n");
    await watch.kill();
    await lab.target.sshd.start();
    await farside.waitForEvent("forward.state", () => states().some(({ phase }) => phase === "open"));
    expect(await ask("/healthz", "root")).toMatch(/^200 /);
    expect(farside.of("card.login")).toHaveLength(1);
    expect(farside.of("relay.open")).toHaveLength(0);
    expect(await exchangeBytes(lab.jump, "127.0.0.1:4444", { bytes: 3, streams: 1 })).toMatchObject([
      { received: 5 },
    ]);
    await lab.jump.run(["pkill", "-u", "builder", "sshd"]);
    await farside.waitForEvent("reattached");
    expect(await ask("/healthz")).toMatch(/^200 /);
    expect(farside.of("card.login")).toHaveLength(1);
    expect((await farside.end()).receipt).toMatchObject({ clean: true, listeners: [] });
    expect(await ask("/healthz")).toBe("ECONNREFUSED");
    await service.kill();
  });

  test("says that the card is away, and goes on when it is back", async () => {
    // A card that was away asks again.
    await using farside = runFarside(lab, mainJob(), { pin: `${lab.pin}\n${lab.pin}` });
    const states = await opened(farside);
    await lab.card.remove();
    // Before the hop is lost: a card that goes and comes back in the middle of a signature makes OpenSC 0.23 hang.
    await farside.waitForEvent("card.state", ({ state }) => state === "removed");
    await lab.target.run(["sh", "-c", "pkill -u signer sshd || true"]);
    const isTold = (wanted: string) => states().some(({ phase }) => phase === wanted);
    await farside.waitForEvent("forward.state", () => isTold("needs-signature"));
    const waiting = states().find(({ phase }) => phase === "needs-signature");
    expect(waiting?.message ?? waiting?.waitsFor).toBeTruthy();
    expect(isTold("open")).toBe(false);
    await lab.card.insert();
    await farside.waitForEvent("forward.state", () => isTold("open"));
    await farside.end();
  });

  test("is shown by status --watch, in place on a terminal and as lines elsewhere", async () => {
    await using farside = runFarside(lab, [
      "forward",
      "builder@172.16.16.158",
      "-L",
      "4445:localhost:9",
      "--probe",
      "1",
    ]);
    await farside.ready();
    await farside.waitForEvent("forward.state", ({ phase, leg }) => phase === "degraded" && leg === "target");
    const watch = lab.workstation.spawn(["node", cliPath, "status", "--watch", "--json"]);
    await waitFor(() => /"phase":"degraded"/.test(watch.stdout), {
      what: "the line",
      detail: () => watch.stdout,
    });
    for (const line of watch.stdout.trimEnd().split("\n")) JSON.parse(line);
    await watch.signal("SIGINT");
    expect((await watch.exit).code).toBe(0);
    await using terminal = Terminal.start(lab, `node ${cliPath} status --watch`);
    await terminal.waitForText(/degraded, waits for the target/);
    terminal.type(CTRL_C);
    expect((await terminal.exit).code).toBe(0);
    await farside.end();
  });
});
