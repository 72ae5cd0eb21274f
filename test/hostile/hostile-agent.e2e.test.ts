import { hostileFrames } from "@farside/protocol/testing";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type Lab, startLab } from "../lab/lab.ts";
import { describeLab } from "../support/describe-lab.ts";
import { expectError } from "../support/expect-error.ts";
import { cliPath, runFarside } from "../support/farside.ts";
import { expectNothingLeft } from "../support/leftovers.ts";
import { Terminal } from "../support/pty.ts";
import { flood, floods, plantAgent } from "./hostile-agent.ts";

const MIB = 1024 * 1024;
/** What an orchestrator may take more than it had before it was flooded: mostly garbage that V8 has not collected yet. */
const MOST_MORE = 150 * MIB;
const FLOOD_MS = 2_000;

/** Every one is tried on the orchestrator alone, in its hostile-agent.test.ts. */
const framesTried = ["one id twice", "an error whose data has a key for the terminal"];

/** Colours and cursor moves that farside's own lines are made of. */
const OWN_SEQUENCES = new RegExp(`${"\u001b"}\\[(?:(?:1|2|22|31|32|33|36|39)m|\\d*[GKA]|\\?25[hl])`, "g");

/** What would act on a terminal and is not farside's own. */
const foreign = (shown: string): string[] =>
  shown
    .replaceAll(OWN_SEQUENCES, "")
    .replaceAll(/[\r\n]/g, "")
    .match(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu) ?? [];

describeLab("an agent that speaks the protocol and lies", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await startLab();
  });
  afterAll(() => lab.close());
  beforeEach(() => lab.jump.mark());

  test("can't fill the orchestrator's memory by floods of events, warnings, sign requests or log, nor keep it from ending", async () => {
    await lab.card.resetCounters();
    const reports = await Promise.all(floods.map((mode) => flood(lab, mode, FLOOD_MS)));
    for (const [index, { before, peak, exitCode }] of reports.entries()) {
      expect(before).toBeGreaterThan(0);
      expect(peak - before, floods[index]).toBeLessThan(MOST_MORE);
      expect([0, 75], floods[index]).toContain(exitCode);
    }
    // That it was one: far more than anybody reads.
    expect(Math.max(...reports.map(({ events }) => events))).toBeGreaterThan(500);
    const { signs } = await lab.card.counters();
    // Each session's own login to the jump host, and nothing else.
    expect(Object.values(signs).reduce((sum, count) => sum + count, 0)).toBe(floods.length);
    await expectNothingLeft(lab.jump);
  });

  test.each(framesTried)("ends the session with one typed error, when it sends %s", async (name) => {
    const frame = hostileFrames.find((each) => each.name === name);
    if (frame === undefined) throw new Error(`no frame is called ${name}`);
    await lab.jump.writeFile("/opt/lab/frames", frame.bytes());
    await using farside = runFarside(lab, await plantAgent(lab, "frames"));
    await expectError(farside, { code: "protocol.bad-message", leg: "jump" });
    expect(farside.of("error").length).toBe(1);
    expect(foreign(farside.process.stdout + farside.process.stderr)).toEqual([]);
    await expectNothingLeft(lab.jump);
  });

  test.each(["escapes", "escapes-bound", "escapes-failure"])(
    "changes nothing on the terminal, though its every text is made of escape sequences (%s)",
    async (mode) => {
      const argv = [...(await plantAgent(lab, mode)), "--log-level", "debug", "--pin-source", "env:LAB_PIN"];
      const line = ["node", cliPath, ...argv].join(" ");
      await using terminal = Terminal.start(lab, line, { env: { LAB_PIN: lab.pin } });
      await terminal.exit;
      // It was shown, as text.
      expect(terminal.text).toContain("\\x1b]0;owned\\x07");
      expect(terminal.text).toMatch(/error\[/);
      expect(foreign(terminal.text), JSON.stringify(terminal.text)).toEqual([]);
      await expectNothingLeft(lab.jump);
    },
  );

  test("changes nothing on a terminal that shows the lines of --json either", async () => {
    await using farside = runFarside(lab, await plantAgent(lab, "escapes-failure"));
    await farside.exit;
    expect(farside.of("error").at(-1)?.message).toContain("\\x9b45m");
    expect(foreign(farside.process.stdout + farside.process.stderr)).toEqual([]);
  });

  test("does no harm with counters that can't be", async () => {
    await using farside = runFarside(lab, await plantAgent(lab, "counters"));
    await farside.waitForEvent("warning", ({ message }) => message === "that was all");
    const closed = farside.of("relay.close");
    expect(closed.length).toBe(50);
    expect(closed.every(({ bytesIn }) => Number.isSafeInteger(bytesIn))).toBe(true);
    await farside.end();
    await expectNothingLeft(lab.jump);
  });
});
