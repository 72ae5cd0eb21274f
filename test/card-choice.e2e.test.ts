import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type Lab, startLab } from "./lab/lab.ts";
import { describeLab } from "./support/describe-lab.ts";
import { expectError } from "./support/expect-error.ts";
import { cliPath, mainJob, runFarside } from "./support/farside.ts";

const NOWHERE = "/nowhere/module.so";

describeLab("the card of a workstation", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await startLab();
  });
  afterAll(() => lab.close());
  beforeEach(async () => {
    await lab.card.resetCounters();
    await lab.workstation.run(["rm", "-f", "/root/.ssh/config"]);
  });

  const card = (...args: string[]) =>
    lab.workstation.exec(["node", cliPath, "card", ...args], { env: lab.cardEnvironment });

  test("is listed by the PKCS#11 module that OpenSC installs, without a PIN", async () => {
    const { code, stdout } = await card("list", "--json");
    expect(code).toBe(0);
    expect(stdout).toContain("farside lab");
    expect((await lab.card.counters()).verifies).toBe(0);
  });

  test("has its keys printed as the lines that the hosts hold, without a PIN", async () => {
    const { code, stdout } = await card("keys");
    expect(code).toBe(0);
    const [line = ""] = await lab.card.publicKeys();
    expect(stdout).toContain(line.split(" ").slice(0, 2).join(" "));
    expect((await lab.card.counters()).verifies).toBe(0);
  });

  test("is taken through the module that FARSIDE_PKCS11_PROVIDER names", async () => {
    await using farside = runFarside(lab, mainJob(), { env: { FARSIDE_PKCS11_PROVIDER: NOWHERE } });
    await expectError(farside, { code: "card.module-not-found", leg: "card", says: /\/nowhere\/module\.so/ });
  });

  test("is taken through ssh_config's PKCS11Provider before that", async () => {
    await lab.workstation.writeFile("/root/.ssh/config", `Host *\n  PKCS11Provider ${NOWHERE}\n`);
    await using farside = runFarside(lab, mainJob(), {
      env: { FARSIDE_PKCS11_PROVIDER: "/other/module.so" },
    });
    await expectError(farside, { code: "card.module-not-found", leg: "card", says: /\/nowhere\/module\.so/ });
  });

  test("is taken through --pkcs11-provider before both", async () => {
    await lab.workstation.writeFile("/root/.ssh/config", `Host *\n  PKCS11Provider ${NOWHERE}\n`);
    const found = await lab.workstation.run(["sh", "-c", "ls /usr/lib/*/opensc-pkcs11.so | head -n 1"]);
    const job = [...mainJob(), "--pkcs11-provider", found.trim()];
    await using farside = runFarside(lab, job, { env: { FARSIDE_PKCS11_PROVIDER: NOWHERE } });
    await farside.ready();
    const { exit, receipt } = await farside.end();
    expect(exit.code).toBe(0);
    expect(receipt?.clean).toBe(true);
    expect((await lab.card.counters()).verifies).toBe(1);
  });
});
