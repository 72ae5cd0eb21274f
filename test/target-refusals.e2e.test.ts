import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type Lab, startLab, TARGET } from "./lab/lab.ts";
import type { LabProcess } from "./lab/lab-process.ts";
import { installProgram } from "./lab/program.ts";
import { startByteService } from "./support/byte-traffic.ts";
import { describeLab } from "./support/describe-lab.ts";
import { expectError } from "./support/expect-error.ts";
import { JUMP_LOGIN, mainJob, runFarside } from "./support/farside.ts";
import { expectNothingLeft } from "./support/leftovers.ts";
import { waitFor } from "./support/wait-for.ts";

describeLab("a target that won't, or isn't what it seems", () => {
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

  /** How a client on the jump host sees a connection to the forward: the code of its error, or `end`. */
  const connectAsClient = async (port = 4444): Promise<string> => {
    const script = `const s = net.connect(${port}, "127.0.0.1", () => s.write("secret build")); s.resume();
      s.on("error", (e) => console.log(e.code)); s.on("end", () => console.log("end"));`;
    return (await lab.jump.run(["node", "-e", script], { user: "builder" })).trim();
  };

  test("a closed port gives the client a reset, and the relay's error names the leg", async () => {
    await using farside = runFarside(lab, mainJob());
    await farside.ready();
    expect(await connectAsClient()).toBe("ECONNRESET");
    const closed = await farside.waitForEvent("relay.close");
    expect(closed).toMatchObject({ reason: "error", code: "target.unreachable", leg: "target" });
    expect((await farside.end()).exit.code).toBe(0);
    await expectNothingLeft(lab.jump);
  });

  test("a closed port without a hop gives the client a reset, and the relay's error names the leg", async () => {
    await using farside = runFarside(lab, ["forward", JUMP_LOGIN, "-L", `4444:${TARGET}:4444`]);
    await farside.ready();
    expect(await connectAsClient()).toBe("ECONNRESET");
    const closed = await farside.waitForEvent("relay.close");
    expect(closed).toMatchObject({ reason: "error", code: "target.unreachable", leg: "target" });
    expect(closed.message).toContain(`${TARGET}:4444`);
    await farside.end();
  });

  test("AllowTcpForwarding no: the relay's error says that the target's sshd forbids it", async () => {
    await using service = await startByteService(lab.target, "4444", 5);
    await lab.target.sshd.stop();
    await lab.target.sshd.start(["AllowTcpForwarding no"]);
    try {
      await using farside = runFarside(lab, mainJob());
      await farside.ready();
      expect(await connectAsClient()).toBe("ECONNRESET");
      expect(await farside.waitForEvent("relay.close")).toMatchObject({
        reason: "error",
        code: "target.forbidden",
        leg: "target",
      });
      await farside.end();
      await expectNothingLeft(lab.jump);
    } finally {
      await service.kill();
      await lab.target.sshd.stop();
      await lab.target.sshd.start();
    }
  });

  test("an sshd that is down is an error before anything listens", async () => {
    await lab.target.sshd.stop();
    try {
      await using farside = runFarside(lab, mainJob());
      await expectError(farside, { code: "hop.unreachable", leg: "hop", says: /172\.16\.16\.160/ });
      await expectNothingLeft(lab.jump);
    } finally {
      await lab.target.sshd.start();
    }
  });

  test("a user whom the target refuses is an error before anything listens", async () => {
    await using farside = runFarside(lab, [
      ...["forward", JUMP_LOGIN, "-L", "4444:localhost:4444", "--via", `stranger@${TARGET}`],
    ]);
    await expectError(farside, { code: "hop.auth-refused", leg: "hop", says: /stranger@172\.16\.16\.160/ });
    expect(await signatures()).toBe(1);
    await expectNothingLeft(lab.jump);
  });

  /** What stands in for the target on the jump host, as a hostile jump host would redirect. */
  async function startFake(mode: "anybody" | "any-signature", hostKey: string): Promise<LabProcess> {
    const program = await installProgram(lab.jump, "fake-target");
    await lab.jump.writeFile("/opt/lab/fake-host-key", hostKey);
    await lab.jump.run(["chmod", "600", "/opt/lab/fake-host-key"]);
    await lab.impersonateTarget();
    const fake = lab.jump.spawn([...program, TARGET, "22", mode, "/opt/lab/fake-host-key"]);
    await waitFor(() => fake.stdout.includes("listening"), {
      what: "the fake target",
      detail: () => fake.stderr,
    });
    await lab.jump.mark();
    return fake;
  }

  test("a fake that lets anybody in without a signature, with the true host key, is refused", async () => {
    const trueKey = await lab.target.readFile("/etc/ssh/ssh_host_ed25519_key");
    await using fake = await startFake("anybody", trueKey);
    try {
      await using farside = runFarside(lab, mainJob());
      await expectError(farside, { code: "hop.no-signature", leg: "hop" });
      expect(fake.stdout).not.toContain('"channel"');
      expect(fake.stdout).not.toContain('"data"');
      await expectNothingLeft(lab.jump);
    } finally {
      await fake.kill();
      await lab.endImpersonation();
    }
  });

  for (const mode of ["anybody", "any-signature"] as const) {
    test(`a fake with another host key that takes ${mode.replace("-", " ")} is refused, nothing is signed for it, no byte reaches it`, async () => {
      await lab.jump.run(["sh", "-c", "rm -f /opt/lab/own; ssh-keygen -q -t ed25519 -N '' -f /opt/lab/own"]);
      await using fake = await startFake(mode, await lab.jump.readFile("/opt/lab/own"));
      try {
        await using farside = runFarside(lab, mainJob());
        await expectError(farside, { code: "host-key.changed", leg: "hop" });
        expect(await signatures()).toBe(1);
        expect(fake.stdout).not.toContain('"login"');
        expect(fake.stdout).not.toContain('"channel"');
        await expectNothingLeft(lab.jump);
      } finally {
        await fake.kill();
        await lab.endImpersonation();
      }
    });
  }

  test("a fake that comes up only after the first login gets no build job's bytes either", async () => {
    await using service = await startByteService(lab.target, "4444", 5);
    await using farside = runFarside(lab, mainJob());
    await farside.ready();
    // The hop is lost, and the jump host answers for the target from now on.
    await lab.target.run(["pkill", "-f", "sshd: signer"]);
    await lab.jump.run(["sh", "-c", "rm -f /opt/lab/own; ssh-keygen -q -t ed25519 -N '' -f /opt/lab/own"]);
    await using fake = await startFake("anybody", await lab.jump.readFile("/opt/lab/own"));
    try {
      await waitFor(
        async () => (await connectAsClient()) === "ECONNRESET" && farside.of("relay.close").length > 0,
        {
          what: "a reset",
          detail: () => farside.transcript,
        },
      );
      expect(fake.stdout).not.toContain('"channel"');
      expect(fake.stdout).not.toContain('"login"');
      expect((await farside.end()).exit.code).toBe(0);
    } finally {
      await service.kill();
      await fake.kill();
      await lab.endImpersonation();
    }
  });
});
