import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type Lab, startLab } from "./lab/lab.ts";
import { exchangeBytes, startByteService } from "./support/byte-traffic.ts";
import { describeLab } from "./support/describe-lab.ts";
import { cliPath, mainJob, runFarside } from "./support/farside.ts";
import { expectNothingLeft } from "./support/leftovers.ts";
import { waitFor } from "./support/wait-for.ts";

const TALK = { bytes: 1000, streams: 2 };
/** The command line of the process that loads the card's module. */
const SIGNER = "node .*signer-main";

const state =
  (wanted: string) =>
  ({ state }: { readonly state: string }) =>
    state === wanted;

describeLab("a hop that needs a signature while the card is out", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await startLab();
  });
  afterAll(() => lab.close());
  beforeEach(async () => {
    await lab.card.insert();
    await Promise.all([lab.jump.mark(), lab.target.mark()]);
    await lab.card.resetCounters();
  });

  /** Starts the main job; its hop can connect only once the card is out. */
  const startWithoutCard = async (mode: string) => {
    // It is connected to, and says nothing: where no packet got through, there would be no route to it after 3 s.
    const sshd = await lab.target.sshd.pid();
    if (sshd === undefined) throw new Error("no sshd on the target");
    process.kill(sshd, "SIGSTOP");
    const farside = runFarside(lab, [...mainJob(), "--on-card-removal", mode], {
      pin: `${lab.pin}\n${lab.pin}`,
    });
    await farside.waitForEvent("agent.ready");
    await lab.card.remove();
    await farside.waitForEvent("card.state", state("removed"));
    process.kill(sshd, "SIGCONT");
    return farside;
  };

  test("waits for it with --on-card-removal wait, and goes on after one PIN", async () => {
    await using farside = await startWithoutCard("wait");
    await farside.waitForEvent("card.state", state("waiting"));
    const status = async () => JSON.parse(await lab.workstation.run(["node", cliPath, "status", "--json"]));
    // The record follows within a second.
    await waitFor(async () => (await status()).card === "waiting", {
      what: "the card's state in the status",
    });
    await lab.card.insert();
    await farside.ready();
    expect(farside.of("card.state").map(({ state: is }) => is)).toEqual([
      ...["present", "removed", "waiting", "pin-needed", "present"],
    ]);
    expect((await farside.end()).exit.code, farside.transcript).toBe(0);
    expect((await lab.card.counters()).verifies).toBe(2);
    await expectNothingLeft(lab.jump);
  });

  test("fails at once with keep", async () => {
    await using farside = await startWithoutCard("keep");
    expect((await farside.exit).code, farside.transcript).toBe(69);
    await lab.card.insert();
    expect(farside.of("error")).toMatchObject([{ code: "card.removed", leg: "card" }]);
    expect((await lab.card.counters()).verifies).toBe(1);
    await expectNothingLeft(lab.jump);
  });
});

describeLab("an open forward", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await startLab();
  });
  afterAll(() => lab.close());
  beforeEach(async () => {
    await Promise.all([lab.jump.mark(), lab.target.mark()]);
    await lab.card.resetCounters();
  });

  const talks = async () => {
    const reports = await exchangeBytes(lab.jump, "127.0.0.1:4444", TALK);
    expect(reports.map(({ received }) => received)).toEqual([5, 5]);
  };

  test("goes on while the card is out, and wants no PIN when it is back", async () => {
    await using service = await startByteService(lab.target, "4444", 5);
    await using farside = runFarside(lab, mainJob());
    await farside.ready();
    await talks();
    await lab.card.remove();
    try {
      await farside.waitForEvent("warning", ({ leg }) => leg === "card");
      await talks();
    } finally {
      await lab.card.insert();
    }
    await talks();
    const { exit, receipt } = await farside.end();
    expect(exit.code, farside.transcript).toBe(0);
    expect(receipt?.clean).toBe(true);
    expect((await lab.card.counters()).verifies).toBe(1);
    await service.kill();
    await expectNothingLeft(lab.jump);
  });

  test("is ended in order by the card's removal, where that was asked for", async () => {
    await using farside = runFarside(lab, [...mainJob(), "--on-card-removal", "close"]);
    await farside.ready();
    await lab.card.remove();
    try {
      expect((await farside.exit).code, farside.transcript).toBe(69);
    } finally {
      await lab.card.insert();
    }
    expect(farside.of("error")).toMatchObject([{ code: "card.removed", leg: "card" }]);
    expect(farside.of("receipt")).toMatchObject([{ clean: true }]);
    await expectNothingLeft(lab.jump);
  });

  test("goes on when the process of the card's module is killed, and ends in order", async () => {
    await using service = await startByteService(lab.target, "4444", 5);
    await using farside = runFarside(lab, mainJob());
    await farside.ready();
    const signer = async () => (await lab.workstation.exec(["pgrep", "-f", SIGNER])).stdout.trim();
    const killed = await signer();
    expect(killed).toMatch(/^\d+$/);
    await lab.workstation.run(["kill", "-KILL", killed]);
    // Another one may be there at once.
    await waitFor(async () => (await signer()) !== killed, { what: "the end of the signer" });
    await talks();
    expect((await farside.end()).exit.code, farside.transcript).toBe(0);
    await service.kill();
    await expectNothingLeft(lab.jump);
  });
});
