import { afterAll, beforeAll, expect, test } from "vitest";
import { type Lab, startLab } from "./lab/lab.ts";
import { describeLab } from "./support/describe-lab.ts";
import { expectError } from "./support/expect-error.ts";
import { JUMP_LOGIN, runFarside } from "./support/farside.ts";

describeLab("a command line that is not valid", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await startLab({ card: false });
    await lab.jump.mark();
  });
  afterAll(() => lab.close());

  const malformed = [
    { spec: "4444", says: /-L/ },
    { spec: "4444:localhost", says: /-L/ },
    { spec: "99999:localhost:4444", says: /99999|port/ },
    { spec: "x:localhost:4444", says: /x/ },
    { spec: "4444:localhost:0", says: /port|0/ },
    { spec: "4444:localhost:no-service", says: /the target port .*no-service/ },
    { spec: "4444::4444", says: /host/ },
    { spec: "[::1:4444:localhost:4444", says: /\[::1|bracket/ },
    { spec: "", says: /-L/ },
  ];
  for (const { spec, says } of malformed) {
    test(`-L ${JSON.stringify(spec)} says which part is wrong`, async () => {
      await using farside = runFarside(lab, ["forward", JUMP_LOGIN, "-L", spec], { json: false, pin: false });
      await expectError(farside, { code: "usage.invalid", says });
    });
  }

  test("-L is needed, and so is a jump host", async () => {
    for (const args of [["forward", JUMP_LOGIN], ["forward", "-L", "1:a:2"], ["forward"], ["nonsense"]]) {
      await using farside = runFarside(lab, args, { json: false, pin: false });
      await expectError(farside, { code: "usage.invalid" });
    }
  });

  test("an unknown option, a bad number and a bad PIN source are named", async () => {
    const cases = [
      { args: ["--no-such-option"], says: /no-such-option/ },
      { args: ["--lease", "soon"], says: /--lease/ },
      { args: ["--pin-source", "hat"], says: /--pin-source/ },
      { args: ["--host-key-check", "never"], says: /--host-key-check/ },
      { args: ["--via", "a:b:c"], says: /--via|a:b:c/ },
    ];
    for (const { args, says } of cases) {
      await using farside = runFarside(lab, ["forward", JUMP_LOGIN, "-L", "4444:localhost:4444", ...args], {
        json: false,
        pin: false,
      });
      await expectError(farside, { code: "usage.invalid", says });
    }
  });

  test("--help is on stdout and comes in under 300 ms of processor time", async () => {
    await using farside = runFarside(lab, ["--help"], { json: false, pin: false });
    expect((await farside.exit).code).toBe(0);
    expect(farside.process.stdout).toContain("forward");
  });

  test("nothing of it reaches the jump host", async () => {
    expect(await lab.jump.residue()).toEqual({ processes: [], listeners: [], files: [] });
    expect(await lab.jump.sshd.log()).not.toContain("Connection from");
  });
});
