import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { JUMP, type Lab, startLab, TARGET } from "./lab/lab.ts";
import { describeLab } from "./support/describe-lab.ts";
import { expectError } from "./support/expect-error.ts";
import { cliPath, mainJob, runFarside } from "./support/farside.ts";
import { expectNothingLeft } from "./support/leftovers.ts";
import { Terminal } from "./support/pty.ts";

describeLab("a host key", () => {
  let lab: Lab;
  /** known_hosts as the lab made it: the true keys of both hosts. */
  let known: string;
  /** A key that belongs to nobody, `type blob`. */
  let stranger: string;
  beforeAll(async () => {
    lab = await startLab();
    known = await lab.workstation.readFile(lab.knownHosts);
    await lab.workstation.run([
      "ssh-keygen",
      "-q",
      "-t",
      "ed25519",
      "-N",
      "",
      "-C",
      "",
      "-f",
      "/tmp/stranger",
    ]);
    stranger = (await lab.workstation.readFile("/tmp/stranger.pub")).trim();
  });
  afterAll(() => lab.close());
  beforeEach(async () => {
    await Promise.all([lab.jump.mark(), lab.target.mark()]);
    await lab.card.resetCounters();
  });
  afterEach(() => lab.workstation.writeFile(lab.knownHosts, known));

  const keyOf = (host: string): string =>
    known
      .split("\n")
      .find((line) => line.startsWith(host))
      ?.slice(host.length + 1)
      .trim() ?? "";
  const without = (host: string): string =>
    known
      .split("\n")
      .filter((line) => !line.startsWith(host))
      .join("\n");
  const fingerprintOf = async (host: string): Promise<string> => {
    const text = await lab.workstation.run(["ssh-keygen", "-l", "-f", "-"], { input: keyOf(host) });
    return text.split(" ")[1] ?? "";
  };

  /** The signatures that the card has made, for the jump host's login at most. */
  const signatures = async (): Promise<number> =>
    Object.values((await lab.card.counters()).signs).reduce((sum, count) => sum + count, 0);

  const hosts = [
    { name: "the jump host", address: JUMP, leg: "jump", signed: 0 },
    { name: "a --via hop", address: TARGET, leg: "hop", signed: 1 },
  ] as const;
  for (const { name, address, leg, signed } of hosts) {
    test(`of ${name} that is unknown is refused with its fingerprint, and nothing is signed for it`, async () => {
      await lab.workstation.writeFile(lab.knownHosts, without(address));
      await using farside = runFarside(lab, mainJob());
      await expectError(farside, { code: "host-key.unknown", leg });
      expect(farside.transcript).toContain(await fingerprintOf(address));
      expect(await signatures()).toBe(signed);
      await expectNothingLeft(lab.jump);
      await expectNothingLeft(lab.target);
    });

    test(`of ${name} that has changed is refused with its fingerprint, and nothing is signed for it`, async () => {
      await lab.workstation.writeFile(lab.knownHosts, `${without(address)}\n${address} ${stranger}\n`);
      await using farside = runFarside(lab, mainJob());
      await expectError(farside, { code: "host-key.changed", leg });
      expect(farside.transcript).toContain(await fingerprintOf(address));
      expect(await signatures()).toBe(signed);
      await expectNothingLeft(lab.jump);
    });

    test(`of ${name} that is revoked is refused, also where another line knows it`, async () => {
      await lab.workstation.writeFile(lab.knownHosts, `${known}\n@revoked ${address} ${keyOf(address)}\n`);
      await using farside = runFarside(lab, mainJob());
      await expectError(farside, { code: "host-key.revoked", leg });
      expect(await signatures()).toBe(signed);
      await expectNothingLeft(lab.jump);
    });
  }

  test("that is hashed in known_hosts is found", async () => {
    await lab.workstation.run(["ssh-keygen", "-q", "-H", "-f", lab.knownHosts]);
    expect(await lab.workstation.readFile(lab.knownHosts)).not.toContain(JUMP);
    await using farside = runFarside(lab, mainJob());
    await farside.ready();
    expect((await farside.end()).exit.code).toBe(0);
  });

  test("of the jump host is taken and remembered by accept-new; that of a --via hop is not", async () => {
    await lab.workstation.writeFile(lab.knownHosts, without(JUMP));
    const first = runFarside(lab, [...mainJob(), "--host-key-check", "accept-new"]);
    await first.ready();
    expect((await first.end()).exit.code).toBe(0);
    expect(await lab.workstation.readFile(lab.knownHosts)).toContain(keyOf(JUMP));

    await lab.workstation.writeFile(lab.knownHosts, without(TARGET));
    await using second = runFarside(lab, [...mainJob(), "--host-key-check", "accept-new"]);
    await expectError(second, { code: "host-key.unknown", leg: "hop" });
    expect(await lab.workstation.readFile(lab.knownHosts)).not.toContain(keyOf(TARGET));
  });

  test("that has changed is refused by accept-new too", async () => {
    await lab.workstation.writeFile(lab.knownHosts, `${without(JUMP)}\n${JUMP} ${stranger}\n`);
    await using farside = runFarside(lab, [...mainJob(), "--host-key-check", "accept-new"]);
    await expectError(farside, { code: "host-key.changed", leg: "jump" });
    expect(await signatures()).toBe(0);
  });

  const ask = `node ${cliPath} ${mainJob().join(" ")} --host-key-check ask`;

  test("of a --via hop, with ask: says that the jump host reported it, and yes opens the forward", async () => {
    await lab.workstation.writeFile(lab.knownHosts, without(TARGET));
    await using terminal = Terminal.start(lab, ask);
    await terminal.waitForText(/PIN/);
    terminal.type(`${lab.card.pin}\r`);
    await terminal.waitForText(/\(yes\/no\)/);
    expect(terminal.text).toContain(await fingerprintOf(TARGET));
    expect(terminal.text).toMatch(/reports/);
    terminal.type("yes\r");
    await terminal.waitForText(/ready/);
    terminal.type("\x03");
    expect((await terminal.exit).code).toBe(0);
  });

  test("of a --via hop, with ask and no: is declined, exit 77, and nothing is signed for it", async () => {
    await lab.workstation.writeFile(lab.knownHosts, without(TARGET));
    await using terminal = Terminal.start(lab, ask);
    await terminal.waitForText(/PIN/);
    terminal.type(`${lab.card.pin}\r`);
    await terminal.waitForText(/\(yes\/no\)/);
    terminal.type("no\r");
    expect((await terminal.exit).code).toBe(77);
    expect(terminal.text).toContain("host-key.declined");
    expect(await signatures()).toBe(1);
    await expectNothingLeft(lab.jump);
  });

  test("of a --via hop that is known under another name is refused with ask, without a question", async () => {
    // The jump host could pass another host of ours off as the target.
    await lab.workstation.writeFile(lab.knownHosts, `${without(TARGET)}\npayroll.example ${keyOf(TARGET)}\n`);
    await using terminal = Terminal.start(lab, ask);
    await terminal.waitForText(/PIN/);
    terminal.type(`${lab.card.pin}\r`);
    expect((await terminal.exit).code).toBe(77);
    expect(terminal.text).toContain("payroll.example");
    expect(terminal.text).not.toMatch(/\(yes\/no\)/);
    expect(await signatures()).toBe(1);
    await expectNothingLeft(lab.jump);
  });
});
