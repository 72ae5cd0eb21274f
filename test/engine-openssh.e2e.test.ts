import { expect, test } from "vitest";
import { type Lab, SECOND_TARGET, TARGET } from "./lab/lab.ts";
import { exchangeBytes, receivedBy, reportsOf, sentBy, startByteService } from "./support/byte-traffic.ts";
import { describeLab } from "./support/describe-lab.ts";
import { type FarsideRun, JUMP_LOGIN, mainJob, runFarside, TARGET_LOGIN } from "./support/farside.ts";
import { expectNothingLeft } from "./support/leftovers.ts";
import { cardUse, useLab } from "./support/use-lab.ts";
import { waitFor } from "./support/wait-for.ts";

const KIB = 1024;
const LEASE_S = 3;

describeLab("--engine openssh", () => {
  let lab: Lab;
  useLab({ targets: 2 }, (started) => {
    lab = started;
  });

  const start = (...options: string[]): FarsideRun =>
    runFarside(lab, [...mainJob(), "--engine", "openssh", ...options]);
  const agentSocket = async () => (await lab.jump.exec(["sh", "-c", "ls /tmp/ssh-*/agent.*"])).stdout.trim();

  test("does the main job for one PIN and two signatures, and leaves nothing after SIGINT", async () => {
    await using service = await startByteService(lab.target, "4444", 256 * KIB);
    await using farside = start();
    const ready = await farside.ready();
    expect(ready.forwards[0]?.bind).toEqual(["127.0.0.1:4444", "[::1]:4444"]);
    expect(await agentSocket()).toBe("");
    const reports = await exchangeBytes(lab.jump, "localhost:4444", { bytes: 256 * KIB, streams: 4 });
    await waitFor(() => reportsOf(service.stdout).length === 4, { what: "the service's reports" });
    expect(receivedBy(reports)).toEqual(sentBy(reportsOf(service.stdout)));

    const { exit, receipt, ms } = await farside.end("SIGINT");
    expect(exit, farside.transcript).toEqual({ code: 0, signal: null });
    expect(receipt).toMatchObject({ host: JUMP_LOGIN, processes: [], listeners: [], files: [], clean: true });
    expect(ms).toBeLessThan(5_000);
    expect(await cardUse(lab)).toEqual({ pins: 1, signatures: 2 });
    await expectNothingLeft(lab.jump);
    expect(farside.of("warning")[0]?.message).toMatch(/every user of it may connect/);
    expect(farside.of("hop.connected").map(({ leg, host }) => [leg, host])).toEqual([
      ["jump", "172.16.16.158"],
      ["hop", TARGET],
    ]);
  });

  test("leaves nothing after kill -9 of farside, at whatever moment", async () => {
    for (const moment of ["engine.ready", "ready"] as const) {
      await using farside = start();
      await farside.waitForEvent(moment);
      await farside.signal("SIGKILL");
      await farside.exit;
      await expectNothingLeft(lab.jump);
    }
  });

  test("leaves nothing within its lease when the link is cut without a word, the forwarded socket neither", async () => {
    await using farside = start("--lease", `${LEASE_S}s`);
    await farside.ready();
    await lab.blackholeWorkstationLink();
    try {
      await expectNothingLeft(lab.jump, LEASE_S * 2_000 + 5_000);
    } finally {
      await farside.signal("SIGKILL");
      await lab.endBlackhole();
    }
  });

  test("is refused on a host without an ssh, which a diagnosis says too", async () => {
    await lab.jump.run(["mv", "/usr/bin/ssh", "/usr/bin/ssh.away"]);
    await lab.jump.mark();
    await using farside = start();
    expect((await farside.exit).code, farside.transcript).toBe(69);
    expect(farside.of("error")).toMatchObject([
      { code: "engine.no-ssh", leg: "jump", hint: expect.stringMatching(/8\.9 or newer/) },
    ]);
    expect(farside.of("receipt")).toMatchObject([{ clean: true }]);
    await using doctor = runFarside(lab, ["doctor", ...mainJob().slice(1), "--engine", "openssh"]);
    expect((await doctor.exit).code, doctor.transcript).toBe(69);
    expect(doctor.events).toEqual(
      expect.arrayContaining([expect.objectContaining({ check: "ssh", code: "engine.no-ssh" })]),
    );
    await expectNothingLeft(lab.jump);
    // The logins to the jump host.
    expect(await cardUse(lab)).toEqual({ pins: 2, signatures: 2 });
    await lab.jump.run(["mv", "/usr/bin/ssh.away", "/usr/bin/ssh"]);
  });

  test("refuses a hop that lets ssh in without a signature", async () => {
    // A real sshd accepts the method "none", which ssh tries first, for an account without a password.
    await lab.target.run(["passwd", "-q", "-d", "signer"]);
    await lab.target.sshd.stop();
    await lab.target.sshd.start(["PasswordAuthentication yes", "PermitEmptyPasswords yes"]);
    await lab.target.mark();
    await using farside = start();
    expect((await farside.exit).code, farside.transcript).toBe(77);
    expect(farside.of("error")).toMatchObject([{ code: "hop.no-signature", leg: "hop" }]);
    expect([...farside.of("ready"), ...farside.of("sign")]).toEqual([]);
    expect(farside.of("receipt")).toMatchObject([{ clean: true }]);
    expect(await lab.target.sshd.log()).toContain("Accepted none for signer");
    await expectNothingLeft(lab.jump);
    expect(await cardUse(lab)).toEqual({ pins: 1, signatures: 1 });
    await lab.target.run(["usermod", "-p", "*", "signer"]);
    await lab.target.sshd.stop();
    await lab.target.sshd.start();
    await lab.target.mark();
  });

  test("lends the card to nothing but the login that was declared", async () => {
    // Its ssh waits, so that others have time for the socket.
    await lab.jump.writeFile(
      "/opt/lab/slow/ssh",
      `#!/bin/sh\n[ "$1" = -V ] || until [ -e /opt/lab/go ]; do sleep 0.1; done\nexec /usr/bin/ssh "$@"\n`,
    );
    await lab.jump.run(["chmod", "755", "/opt/lab/slow/ssh"]);
    await lab.jump.sshd.stop();
    await lab.jump.sshd.start(["SetEnv PATH=/opt/lab/slow:/usr/local/bin:/usr/bin:/bin"]);
    await lab.jump.mark();
    await using farside = start("--start-timeout", "5m");
    await farside.waitForEvent("engine.ready");
    const socket = await waitFor(agentSocket, { what: "the forwarded agent" });
    const [card] = await lab.card.publicKeys();
    await lab.jump.writeFile("/opt/lab/card.pub", `${card}\n`);
    // It would let the card in: what stops it is the guard.
    await lab.target.writeFile("/root/.ssh/authorized_keys", `${card}\n`);
    const attack = (...argv: string[]) =>
      lab.jump.exec(argv, { user: "builder", env: { SSH_AUTH_SOCK: socket }, input: "a release\n" });
    const refusals = () =>
      farside.of("sign").flatMap(({ decision, reason }) => (decision === "refused" ? reason : []));
    const ssh = (...rest: string[]) => {
      const careless = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes"];
      return ["/usr/bin/ssh", ...careless.flatMap((option) => ["-o", option]), ...rest];
    };
    const attacks: readonly (readonly [argv: string[], reason: RegExp])[] = [
      [["ssh-add", "-l"], /^not-bound$/],
      [["ssh-add", "-D"], /^remove-all-identities/],
      [["ssh-add", "-d", "/opt/lab/card.pub"], /^remove-identity$/],
      [["ssh-keygen", "-Y", "sign", "-f", "/opt/lab/card.pub", "-n", "file"], /^not-bound$/],
      [ssh(JUMP_LOGIN, "true"), /^host-key$/],
      [ssh(`root@${TARGET}`, "true"), /^user$/],
      // The login itself is a declared one: what it forwards is what must get nothing.
      [
        ssh("-A", TARGET_LOGIN, ...ssh(`signer@${SECOND_TARGET}`, "true")),
        /^(forwarding|second-bind|host-key)$/,
      ],
    ];
    for (const [argv, reason] of attacks) {
      const before = refusals().length;
      const { code, stderr } = await attack(...argv);
      expect(code, `${argv.join(" ")}: ${stderr}`).not.toBe(0);
      await waitFor(
        () =>
          refusals()
            .slice(before)
            .some((word) => reason.test(word)),
        {
          what: `a refusal of ${argv.join(" ")}`,
          detail: () => refusals().slice(before).join(" "),
        },
      );
    }
    await lab.jump.writeFile("/opt/lab/go", "");
    // The hop's one signature is spent: farside's own login gets none, and says so.
    expect((await farside.exit).code).not.toBe(0);
    expect(refusals()).toContain("spent");
    expect(farside.of("receipt")).toMatchObject([{ clean: true }]);
    expect(await cardUse(lab)).toMatchObject({ signatures: 2 });
    await expectNothingLeft(lab.jump);
  });
});
