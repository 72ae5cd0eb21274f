import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type Lab, startLab } from "./lab/lab.ts";
import type { LabProcess } from "./lab/lab-process.ts";
import { exchangeBytes, reportsOf, startByteService } from "./support/byte-traffic.ts";
import { describeLab } from "./support/describe-lab.ts";
import { type FarsideRun, JUMP_LOGIN, runFarside } from "./support/farside.ts";
import { waitFor } from "./support/wait-for.ts";

describeLab("who may connect to the listener", () => {
  let lab: Lab;
  let service: LabProcess;
  beforeAll(async () => {
    lab = await startLab();
  });
  afterAll(() => lab.close());
  beforeEach(async () => {
    await service?.kill();
    service = await startByteService(lab.jump, "5555", 5, "intruder");
  });

  const start = async (...options: string[]): Promise<FarsideRun> => {
    const farside = runFarside(lab, ["forward", JUMP_LOGIN, "-L", "4444:localhost:5555", ...options]);
    await farside.ready();
    return farside;
  };
  const talk = (user: string, address = "127.0.0.1:4444") =>
    exchangeBytes(lab.jump, address, { bytes: 3, streams: 1, user });

  test("the login's own user and root", async () => {
    await using farside = await start();
    for (const user of ["builder", "root"]) expect(await talk(user)).toMatchObject([{ received: 5 }]);
    expect((await farside.waitForEvent("relay.close")).uid).toBe(1500);
    expect((await farside.waitForEvent("relay.close", ({ uid }) => uid === 0)).bytesIn).toBe(3);
    await farside.end();
  });

  for (const address of ["127.0.0.1:4444", "::1:4444"]) {
    test(`not another user at ${address}: the connection is cut, no byte goes on, and an event says what would allow it`, async () => {
      await using farside = await start();
      const answer = await talk("intruder", address).catch((error: Error) => error.message);
      expect(JSON.stringify(answer)).not.toContain('"received":5');
      const refused = await farside.waitForEvent("relay.refused");
      expect(refused.uid).toBe(1501);
      expect(refused.hint).toContain("--allow-user intruder");
      expect(refused.hint).toContain("--allow-any-user");
      await farside.end();
      expect(reportsOf(service.stdout)).toEqual([]);
    });
  }

  test("not another user who goes through the host's sshd, which connects as that user", async () => {
    await using farside = await start();
    const script = [
      "mkdir -p -m 700 ~/.ssh && ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519",
      "cp ~/.ssh/id_ed25519.pub ~/.ssh/authorized_keys",
      "ssh -o BatchMode=yes -o StrictHostKeyChecking=no -W 127.0.0.1:4444 172.16.16.158 </dev/null 2>/dev/null || true",
    ];
    await lab.jump.run(["sh", "-c", script.join("; ")], { user: "intruder" });
    expect((await farside.waitForEvent("relay.refused")).uid).toBe(1501);
    expect(farside.of("relay.open")).toEqual([]);
    await farside.end();
  });

  test("not another user who writes and closes at once, whose row shows uid 0 by then", async () => {
    await using farside = await start();
    const script = `for (let i = 0; i < 50; i++) { const s = net.connect(4444, "127.0.0.1", () => { s.write("steal"); s.destroy(); }); s.on("error", () => {}); }`;
    await lab.jump.run(["node", "-e", script], { user: "intruder" });
    await waitFor(() => farside.of("relay.refused").length === 50, {
      what: "50 refusals",
      detail: () => farside.transcript.slice(-2000),
    });
    expect(farside.of("relay.open")).toEqual([]);
    expect(await talk("builder")).toMatchObject([{ received: 5 }]);
    await farside.end();
    await waitFor(() => reportsOf(service.stdout).length > 0, { what: "the service's report" });
    expect(reportsOf(service.stdout)).toHaveLength(1);
  });

  test("another user by --allow-user, and only that one", async () => {
    await using farside = await start("--allow-user", "intruder");
    expect(await talk("intruder")).toMatchObject([{ received: 5 }]);
    await lab.jump.exec(["node", "-e", `net.connect(4444, "127.0.0.1").on("error", () => {}).resume()`], {
      user: "nobody",
      cwd: "/",
    });
    expect((await farside.waitForEvent("relay.refused")).uid).toBe(65534);
    await farside.end();
  });

  test("everybody by --allow-any-user", async () => {
    await using farside = await start("--allow-any-user");
    expect(await talk("intruder")).toMatchObject([{ received: 5 }]);
    await farside.end();
  });

  test("an unknown name for --allow-user is an error", async () => {
    await using farside = runFarside(lab, [
      ...["forward", JUMP_LOGIN, "-L", "4444:localhost:5555", "--allow-user", "nosuchuser"],
    ]);
    const { code } = await farside.exit;
    expect(code).not.toBe(0);
    expect(farside.of("error").at(-1)?.message).toContain("nosuchuser");
  });

  test("no more at a time than --max-relays; the rest wait", async () => {
    await using farside = await start("--max-relays", "2");
    const reports = await exchangeBytes(lab.jump, "127.0.0.1:4444", { bytes: 3, streams: 8 });
    expect(reports).toHaveLength(8);
    for (const report of reports) expect(report.received).toBe(5);
    await farside.end();
  });
});
