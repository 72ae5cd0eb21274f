import { expect, test } from "vitest";
import type { Lab } from "./lab/lab.ts";
import { installProgram } from "./lab/program.ts";
import { exchangeBytes, receivedBy, reportsOf, sentBy, startByteService } from "./support/byte-traffic.ts";
import { describeLab } from "./support/describe-lab.ts";
import { JUMP_LOGIN, mainJob, runFarside, SECOND_TARGET_LOGIN, TARGET_LOGIN } from "./support/farside.ts";
import { expectNothingLeft } from "./support/leftovers.ts";
import { cardUse, useLab } from "./support/use-lab.ts";
import { waitFor } from "./support/wait-for.ts";

const MIB = 1024 * 1024;

describeLab("the main job", () => {
  let lab: Lab;
  useLab({ targets: 2 }, (started) => {
    lab = started;
  });

  test("lets a build job sign through localhost of the jump host, for one PIN and two signatures", async () => {
    await using service = lab.target.spawn(await installProgram(lab.target, "signing-service"), {
      user: "signer",
    });
    const publicKey = await waitFor(() => service.stdout.includes("END") && service.stdout, {
      what: "the signing service",
    });
    await using farside = runFarside(lab, mainJob());
    const ready = await farside.ready();
    expect(ready.forwards).toHaveLength(1);
    expect(ready.forwards[0]?.bind).toEqual(["127.0.0.1:4444", "[::1]:4444"]);

    await lab.jump.writeFile("/opt/lab/signing.pub", publicKey);
    await lab.jump.writeFile("/opt/lab/release", "what is to be signed\n");
    const buildJob = await installProgram(lab.jump, "build-job");
    for (const address of ["localhost:4444", "127.0.0.1:4444"]) {
      const job = await lab.jump.exec([...buildJob, "/opt/lab/release", "/opt/lab/signing.pub", address], {
        user: "builder",
      });
      expect(job.stderr).toBe("");
      expect(job.stdout).toContain("the signature is valid");
      expect(job.code).toBe(0);
    }

    const { exit, receipt, ms } = await farside.end("SIGINT");
    expect(exit).toEqual({ code: 0, signal: null });
    expect(receipt).toMatchObject({ host: JUMP_LOGIN, processes: [], listeners: [], files: [], clean: true });
    expect(ms).toBeLessThan(5_000);
    expect(farside.strayLines).toEqual([]);
    expect(await cardUse(lab)).toEqual({ pins: 1, signatures: 2 });
    await service.kill();
    await expectNothingLeft(lab.jump);
    await expectNothingLeft(lab.target);
  });

  test("reports each step as an event", async () => {
    await using farside = runFarside(lab, mainJob());
    await farside.ready();
    await farside.end();
    const names = farside.events.map((event) => event.event);
    expect(names).toEqual(
      expect.arrayContaining(["card.login", "agent.ready", "forward.open", "ready", "receipt"]),
    );
    expect(farside.of("card.login")).toMatchObject([{ token: "farside lab 9a", pinEntries: 1 }]);
    expect(farside.of("hop.connected")).toMatchObject([
      { leg: "jump", user: "builder", host: "172.16.16.158", port: 22 },
      { leg: "hop", user: "signer", host: "172.16.16.160", port: 22 },
    ]);
    for (const { hostKey } of farside.of("hop.connected")) expect(hostKey).toMatch(/^SHA256:/);
    expect(farside.of("agent.ready")).toMatchObject([{ deploy: { method: "memory" } }]);
    expect(farside.of("sign").filter(({ decision }) => decision === "signed")).not.toHaveLength(0);
    for (const event of farside.events) expect(event.at).toMatch(/^\d{4}-\d\d-\d\dT/);
  });

  test("goes through two hops after the jump host for one PIN and three signatures", async () => {
    await using service = await startByteService(lab.secondTarget, "4444", 1000);
    await using farside = runFarside(lab, [
      ...["forward", JUMP_LOGIN, "-L", "4444:localhost:4444"],
      ...["--via", `${TARGET_LOGIN},${SECOND_TARGET_LOGIN}`],
    ]);
    await farside.ready();
    const client = await exchangeBytes(lab.jump, "127.0.0.1:4444", { bytes: 5000, streams: 3 });
    expect(client).toHaveLength(3);
    // The service tells of a connection after the client has read the last of it.
    await waitFor(() => reportsOf(service.stdout).length === 3, { what: "the service's reports" });
    expect(receivedBy(reportsOf(service.stdout))).toEqual(sentBy(client));
    const { exit } = await farside.end();
    expect(exit.code).toBe(0);
    expect(await cardUse(lab)).toEqual({ pins: 1, signatures: 3 });
    await service.kill();
    await expectNothingLeft(lab.jump);
    await expectNothingLeft(lab.target);
  });

  test("takes several forwards, a free port and sockets at both ends over one hop", async () => {
    await using service = await startByteService(lab.target, "/tmp/service.sock", 10);
    await using tcp = await startByteService(lab.target, "4444", 10);
    await using farside = runFarside(lab, [
      ...["forward", JUMP_LOGIN, "--via", TARGET_LOGIN],
      ...["-L", "0:/tmp/service.sock", "-L", "/tmp/forward.sock:localhost:4444"],
    ]);
    const { forwards } = await farside.ready();
    expect(forwards).toHaveLength(2);
    const [first, second] = forwards;
    const port = Number(/^127\.0\.0\.1:(\d+)$/.exec(first?.bind[0] ?? "")?.[1]);
    expect(port).toBeGreaterThan(1023);
    expect(second?.bind).toEqual(["/tmp/forward.sock"]);
    expect(await exchangeBytes(lab.jump, `127.0.0.1:${port}`, { bytes: 20, streams: 1 })).toMatchObject([
      { received: 10 },
    ]);
    expect(await exchangeBytes(lab.jump, "/tmp/forward.sock", { bytes: 20, streams: 1 })).toMatchObject([
      { received: 10 },
    ]);
    const mode = await lab.jump.run(["stat", "-c", "%a %U", "/tmp/forward.sock"]);
    expect(mode).toBe("600 builder\n");
    expect((await farside.end()).exit.code).toBe(0);
    expect(await cardUse(lab)).toMatchObject({ signatures: 2 });
    await Promise.all([service.kill(), tcp.kill()]);
    await expectNothingLeft(lab.jump);
  });

  const kinds = [
    {
      kind: "TCP from the jump host",
      host: "target",
      args: ["-L", "4444:172.16.16.160:4445"],
      where: "0.0.0.0",
    },
    {
      kind: "an SSH hop",
      host: "target",
      args: ["-L", "4444:localhost:4445", "--via", TARGET_LOGIN],
      where: "127.0.0.1",
    },
  ];
  for (const { kind, args, where } of kinds) {
    test(`carries 8 streams at once of 256 MiB each way through ${kind}, unchanged and past the workstation`, async () => {
      const perStream = 256 * MIB;
      const program = await installProgram(lab.target, "byte-service");
      await using service = lab.target.spawn([...program, "4445", String(perStream), where], {
        user: "signer",
      });
      await waitFor(() => service.stdout.includes("listening"), { what: "the service" });
      await using farside = runFarside(lab, ["forward", JUMP_LOGIN, ...args]);
      await farside.ready();
      const before = await lab.workstationBytes();
      const client = await exchangeBytes(lab.jump, "127.0.0.1:4444", {
        bytes: perStream,
        streams: 8,
        timeoutMs: 170_000,
      });
      expect((await lab.workstationBytes()) - before).toBeLessThan(MIB);
      expect(client).toHaveLength(8);
      const served = await waitFor(
        () => reportsOf(service.stdout).length === 8 && reportsOf(service.stdout),
        {
          what: "the service's reports",
        },
      );
      expect(receivedBy(served)).toEqual(sentBy(client));
      expect(receivedBy(client)).toEqual(sentBy(served));
      expect(client.every((report) => report.received === perStream)).toBe(true);
      expect((await farside.end()).exit.code).toBe(0);
    }, 180_000);
  }

  test("moves 1 GiB for less than 1 MiB over the workstation's link, set-up and teardown included", async () => {
    await using service = await startByteService(lab.target, "4444", 512 * MIB);
    const before = await lab.workstationBytes();
    await using farside = runFarside(lab, mainJob());
    await farside.ready();
    const reports = await exchangeBytes(lab.jump, "127.0.0.1:4444", {
      bytes: 512 * MIB,
      streams: 1,
      timeoutMs: 170_000,
    });
    expect(reports).toMatchObject([{ sent: 512 * MIB, received: 512 * MIB }]);
    expect((await farside.end()).exit.code).toBe(0);
    expect((await lab.workstationBytes()) - before).toBeLessThan(MIB);
    await expect.poll(() => reportsOf(service.stdout)).toMatchObject([{ received: 512 * MIB }]);
  }, 200_000);
});
