import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type Lab, startLab } from "./lab/lab.ts";
import { describeLab } from "./support/describe-lab.ts";
import { expectError } from "./support/expect-error.ts";
import { cliPath, mainJob, runFarside } from "./support/farside.ts";
import { Terminal } from "./support/pty.ts";
import { waitFor } from "./support/wait-for.ts";

describeLab("a card that won't", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await startLab();
    await lab.jump.mark();
  });
  afterAll(async () => {
    // Not one of these got as far as a process on the jump host.
    const isClean = async () => (await lab.jump.residue()).processes.length === 0;
    // What sshd has made for a connection may be about to end.
    await waitFor(isClean, { what: "the end of all processes on the jump host" }).finally(() => lab.close());
  });
  beforeEach(() => lab.card.resetCounters());
  afterEach(() => lab.card.setTries(3));

  const state = () => lab.card.counters();

  test("a wrong PIN uses exactly one try, says how many are left and is not tried again", async () => {
    await using farside = runFarside(lab, mainJob(), { pin: "654321" });
    await expectError(farside, { code: "card.pin-wrong", leg: "card", says: /2/ });
    expect(await state()).toMatchObject({ verifies: 1, tries: 2, signs: {} });
    expect(farside.transcript).not.toContain("654321");
  });

  test("a locked PIN is reported without a try", async () => {
    await lab.card.setTries(0);
    await using farside = runFarside(lab, mainJob());
    await expectError(farside, { code: "card.pin-locked", leg: "card" });
    expect(await state()).toMatchObject({ verifies: 0, signs: {} });
  });

  test("the last try is not spent without an explicit yes", async () => {
    await lab.card.setTries(1);
    await using farside = runFarside(lab, mainJob());
    await expectError(farside, { code: "card.pin-last-try", leg: "card" });
    expect(await state()).toMatchObject({ verifies: 0, tries: 1 });
  });

  test("the last try is spent on yes in a terminal, and not on anything else", async () => {
    const command = `node ${cliPath} ${mainJob().join(" ")}`;
    await lab.card.setTries(1);
    await using declined = Terminal.start(lab, command);
    await declined.waitForText(/\(yes\/no\)/);
    declined.type("y\r");
    expect((await declined.exit).code, declined.text).toBe(77);
    expect(await state()).toMatchObject({ verifies: 0, tries: 1 });

    await using agreed = Terminal.start(lab, command);
    await agreed.waitForText(/\(yes\/no\)/);
    agreed.type("yes\r");
    await agreed.waitForText(/PIN.*:/i);
    agreed.type(`${lab.card.pin}\r`);
    await agreed.waitForText(/ready/);
    agreed.type("\x03");
    expect((await agreed.exit).code).toBe(0);
    expect(await state()).toMatchObject({ verifies: 1, tries: 3 });
  });

  test("a PIN that can't be asked for is an error at once", async () => {
    await using farside = runFarside(lab, mainJob(), { pin: false });
    await expectError(farside, { code: "card.pin-unavailable", leg: "card", hint: /--pin-source/ });
    expect(await state()).toMatchObject({ verifies: 0 });
  });

  test("with BatchMode of ssh_config the PIN isn't asked for, not even in a terminal", async () => {
    const command = `node ${cliPath} ${mainJob().join(" ")} -o BatchMode=yes`;
    await using terminal = Terminal.start(lab, command);
    expect((await terminal.exit).code, terminal.text).toBe(77);
    expect(terminal.text).toMatch(/error\[card\.pin-unavailable\].*BatchMode/);
    expect(await state()).toMatchObject({ verifies: 0 });
    await using named = runFarside(lab, [...mainJob(), "-o", "BatchMode=yes"]);
    await named.ready();
    expect((await named.end()).exit.code, named.transcript).toBe(0);
  });

  test("no card in the reader", async () => {
    await lab.card.remove();
    try {
      await using farside = runFarside(lab, [...mainJob(), "--identity", "card"]);
      await expectError(farside, { code: "card.no-token", leg: "card" });
    } finally {
      await lab.card.insert();
    }
  });

  test("no reader at all", async () => {
    await using farside = runFarside(lab, [...mainJob(), "--identity", "card"], {
      env: { PCSCLITE_CSOCK_NAME: "/nowhere/pcscd.comm" },
    });
    await expectError(farside, { code: "card.no-reader", leg: "card" });
  });

  test("a PKCS#11 module that isn't there, or isn't one", async () => {
    for (const path of ["/nowhere/module.so", "/etc/passwd"]) {
      await using farside = runFarside(lab, [...mainJob(), "--pkcs11-provider", path]);
      await expectError(farside, { code: "card.module-not-found", leg: "card" });
      expect(farside.transcript).toContain(path);
    }
  });

  test("a token without keys, and a token or key by a name that there isn't", async () => {
    const environment = { SOFTHSM2_CONF: "/etc/softhsm-lab.conf" };
    await lab.workstation.writeFile("/etc/softhsm-lab.conf", "directories.tokendir = /var/lib/softhsm-lab\n");
    await lab.workstation.run(["mkdir", "-p", "/var/lib/softhsm-lab"]);
    await lab.workstation.run(
      [
        "softhsm2-util",
        "--init-token",
        "--free",
        "--label",
        "empty",
        "--so-pin",
        "12345678",
        "--pin",
        "123456",
      ],
      { env: environment },
    );
    const module = (await lab.workstation.run(["sh", "-c", "ls /usr/lib/softhsm/libsofthsm2.so"])).trim();
    await using empty = runFarside(lab, [...mainJob(), "--pkcs11-provider", module], { env: environment });
    await expectError(empty, { code: "card.no-key", leg: "card", says: /empty/ });
    await using noToken = runFarside(lab, [...mainJob(), "--token", "another"]);
    await expectError(noToken, { code: "card.no-token", leg: "card", says: /another/ });
    await using noKey = runFarside(lab, [...mainJob(), "--key", "77"]);
    await expectError(noKey, { code: "card.no-key", leg: "card", says: /77/ });
  });
});
