import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type Lab, startLab } from "./lab/lab.ts";
import type { LabProcess } from "./lab/lab-process.ts";
import { exchangeBytes, holdConnection, startByteService } from "./support/byte-traffic.ts";
import { describeLab } from "./support/describe-lab.ts";
import { mainJob, runFarside } from "./support/farside.ts";
import { expectNothingLeft } from "./support/leftovers.ts";
import { waitFor } from "./support/wait-for.ts";

describeLab("an open forward", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await startLab();
  });
  afterAll(() => lab.close());
  beforeEach(async () => {
    await lab.jump.mark();
    await lab.card.resetCounters();
  });

  const signatures = async (): Promise<number> =>
    Object.values((await lab.card.counters()).signs).reduce((sum, count) => sum + count, 0);

  /** A node program on the target's localhost:4444; `script` has the socket as `s`. */
  async function serve(script: string): Promise<LabProcess> {
    const server = `net.createServer({ allowHalfOpen: true }, (s) => { s.on("error", () => {}); ${script} })
      .listen(4444, "127.0.0.1", () => console.log("listening"))`;
    const service = lab.target.spawn(["node", "-e", server], { user: "signer" });
    await waitFor(() => service.stdout.includes("listening"), { what: "the service" });
    return service;
  }

  /** A node program on the jump host that has connected as `s`; returns what it printed. */
  async function connect(script: string): Promise<string> {
    const client = `const s = net.connect({ port: 4444, host: "127.0.0.1", allowHalfOpen: true }); ${script}`;
    return (await lab.jump.run(["node", "-e", client], { user: "builder" })).trim();
  }

  test("passes on the client's half-close, and the answer that comes after it", async () => {
    await using service = await serve(
      `let n = 0; s.on("data", (d) => { n += d.length; }); s.on("end", () => s.end("got " + n));`,
    );
    await using farside = runFarside(lab, mainJob());
    await farside.ready();
    expect(await connect(`s.end("12345"); s.on("data", (d) => console.log(String(d)));`)).toBe("got 5");
    await farside.end();
    await service.kill();
  });

  test("passes on the service's half-close, and what the client says after it", async () => {
    await using service = await serve(`s.end("bye"); s.on("data", (d) => console.log("late " + d));`);
    await using farside = runFarside(lab, mainJob());
    await farside.ready();
    await connect(`s.on("data", () => {}); s.on("end", () => setImmediate(() => s.end("word")));`);
    await waitFor(() => service.stdout.includes("late word"), { what: "the late word" });
    expect(service.stdout).toBe("listening\nlate word\n");
    await farside.end();
    await service.kill();
  });

  test("holds back a sender while the other side does not read", async () => {
    await using service = await serve(`s.pause(); setTimeout(() => {}, 1e9);`);
    await using farside = runFarside(lab, [...mainJob(), "--grace", "1"]);
    await farside.ready();
    // Writes until it is held back, and says how much went.
    const script = `const b = Buffer.alloc(1 << 20); let n = 0, last = 0;
      const push = () => { while (s.write(b)) n++; n++; }; s.on("connect", push); s.on("drain", push);
      const timer = setInterval(() => { if (n > 0 && n === last) { console.log(n); process.exit(); } last = n; }, 500);`;
    const megabytes = Number(await connect(script));
    expect(megabytes).toBeGreaterThan(0);
    expect(megabytes).toBeLessThan(64);
    expect((await farside.end()).exit.code).toBe(0);
    await service.kill();
    await expectNothingLeft(lab.jump);
  });

  test("waits, when it is stopped, until a slow service has all that its sshd still holds for it", async () => {
    const bytes = 16 * 1024 * 1024;
    await using service = await serve(
      `s.end("bye"); (async () => { let n = 0; for await (const d of s) { n += d.length; await new Promise((r) => setTimeout(r, 2)); }
        console.log("got " + n); })();`,
    );
    await using farside = runFarside(lab, [...mainJob(), "--grace", "60"]);
    await farside.ready();
    await connect(`s.resume(); s.end(Buffer.alloc(${bytes}));`);
    expect((await farside.end()).exit.code).toBe(0);
    expect(farside.of("relay.close")).toMatchObject([{ bytesIn: bytes, bytesOut: 3, reason: "end" }]);
    await waitFor(() => service.stdout.includes("got"), { what: "the service's count" });
    expect(service.stdout).toBe(`listening\ngot ${bytes}\n`);
    await service.kill();
  });

  test("goes on over a hop that was lost, for one signature more and no PIN", async () => {
    await using service = await startByteService(lab.target, "4444", 5);
    await using farside = runFarside(lab, mainJob());
    await farside.ready();
    await exchangeBytes(lab.jump, "127.0.0.1:4444", { bytes: 3, streams: 1 });
    await lab.target.run(["pkill", "-f", "sshd: signer"]);
    const again = await waitFor(
      () => exchangeBytes(lab.jump, "127.0.0.1:4444", { bytes: 3, streams: 1 }).catch(() => undefined),
      { what: "a relay over the new hop", detail: () => farside.transcript },
    );
    expect(again).toMatchObject([{ received: 5 }]);
    // Where the old hop had not seen its end yet, it took one relay more.
    await expect.poll(signatures).toBe(3);
    expect((await lab.card.counters()).verifies).toBe(1);
    expect((await farside.end()).exit.code).toBe(0);
    await service.kill();
  });

  test("outlives the card's removal, relays included", async () => {
    await using service = await serve("s.pipe(s);");
    await using farside = runFarside(lab, mainJob());
    await farside.ready();
    const held = await holdConnection(lab.jump, 4444);
    await lab.card.remove();
    try {
      expect(await exchangeBytes(lab.jump, "127.0.0.1:4444", { bytes: 3, streams: 2 })).toMatchObject([
        { received: 3 },
        { received: 3 },
      ]);
      expect(held.hasEnded).toBe(false);
      held.stdin.end();
      await held.exit;
      expect((await farside.end()).exit.code).toBe(0);
    } finally {
      await lab.card.insert();
      await service.kill();
    }
    await expectNothingLeft(lab.jump);
  });

  test("is lost with its agent, killed from outside: exit 69, and nothing is left", async () => {
    await using farside = runFarside(lab, mainJob());
    await farside.ready();
    const { pid } = await farside.waitForEvent("agent.ready");
    await lab.jump.run(["kill", "-9", String(pid)]);
    expect((await farside.exit).code, farside.transcript).toBe(69);
    expect(farside.of("error").at(-1)?.code).toBe("agent.gone");
    expect(farside.of("receipt").at(-1)?.clean).toBe(true);
    await expectNothingLeft(lab.jump);
  });

  test("is lost with its login on the jump host: exit 69, and nothing is left", async () => {
    await using farside = runFarside(lab, mainJob());
    await farside.ready();
    await lab.jump.run(["pkill", "-9", "-f", "sshd: builder"]);
    expect([69, 75], farside.transcript).toContain((await farside.exit).code);
    await expectNothingLeft(lab.jump);
  });

  test("outlives a restart of the jump host's sshd", async () => {
    await using service = await startByteService(lab.target, "4444", 5);
    await using farside = runFarside(lab, mainJob());
    await farside.ready();
    await lab.jump.sshd.stop();
    await lab.jump.sshd.start();
    expect(await exchangeBytes(lab.jump, "127.0.0.1:4444", { bytes: 3, streams: 1 })).toMatchObject([
      { received: 5 },
    ]);
    expect((await farside.end()).exit.code).toBe(0);
    await service.kill();
  });

  test("ends by itself after --ttl and after --idle, clean", async () => {
    // At the same time. --ttl begins before the hop is there, and has to leave it time.
    const ended = async (port: number, ...limit: string[]) => {
      await using farside = runFarside(lab, [...mainJob(port), ...limit]);
      await farside.ready();
      const { code } = await farside.exit;
      expect(farside.of("error").at(-1)?.code, farside.transcript).toBe("session.limit-reached");
      expect(code).toBe(69);
      expect(farside.of("receipt").at(-1)?.clean).toBe(true);
    };
    await Promise.all([ended(4444, "--ttl", "5"), ended(4445, "--idle", "5")]);
    await expectNothingLeft(lab.jump);
  });

  test("can be seen by status and ended by teardown from elsewhere, by its name", async () => {
    await using farside = runFarside(lab, [...mainJob(), "--name", "release"]);
    await farside.ready();
    const status = runFarside(lab, ["status"], { pin: false, json: false });
    expect((await status.exit).code).toBe(0);
    expect(status.process.stdout).toContain("release");
    const teardown = runFarside(lab, ["teardown", "release"], { pin: false, json: false });
    expect((await teardown.exit).code, teardown.transcript).toBe(0);
    expect((await farside.exit).code, farside.transcript).toBe(0);
    await expectNothingLeft(lab.jump);
  });
});
