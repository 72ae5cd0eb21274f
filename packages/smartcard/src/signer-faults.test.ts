import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { listeningPorts } from "@farside/protocol/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { CardIdentity } from "./card-identity.ts";
import { openCard } from "./open-card.ts";
import { testSignature } from "./test-signature.ts";
import { type FaultyCard, startFaultyCard } from "./testing/faulty-card.ts";
import { processFacts, processGone } from "./testing/process-facts.ts";
import { scriptedPinSource } from "./testing/scripted-pin-source.ts";
import { softHsmPin } from "./testing/soft-hsm.ts";

/** Longer than anything takes on a busy machine; a test that waits for the end of one has its own. */
const deadlines = { signMs: 20_000, pinPadMs: 20_000, otherMs: 20_000 };

describe("a module that misbehaves", () => {
  let faulty: FaultyCard;
  beforeAll(async () => {
    faulty = await startFaultyCard();
  });
  afterAll(() => faulty[Symbol.asyncDispose]());
  beforeEach(() => faulty.fail(""));

  const open = (more: Partial<Parameters<typeof openCard>[0]> = {}): Promise<CardIdentity> =>
    openCard({ ...faulty.options, deadlines, pinSource: scriptedPinSource([softHsmPin]), ...more });

  it("is ended and reported when it hangs in C_Sign, and started again for the next signature", async () => {
    const pinSource = scriptedPinSource([softHsmPin]);
    await using card = await open({ pinSource, deadlines: { ...deadlines, signMs: 2_000 } });
    const { signerPid } = card;
    await faulty.fail("C_Sign hang");
    await expect(testSignature(card)).rejects.toMatchObject({ code: "card.hung", leg: "card" });
    await processGone(Number(signerPid), 20_000);
    await faulty.fail("");
    await expect(testSignature(card)).resolves.toBeDefined();
    expect(pinSource.asked.map(({ reason }) => reason)).toEqual(["first", "signer-restarted"]);
  });

  it.each([
    ["crash", /SIGABRT/],
    // exit() in a process with threads may end in a crash.
    ["exit", /exit 0|SIG/],
  ])("does not take the program with it on %s in C_Sign", async (how, says) => {
    await using card = await open();
    await faulty.fail(`C_Sign ${how}`);
    await expect(testSignature(card)).rejects.toMatchObject({
      code: "card.crashed",
      message: expect.stringMatching(says),
    });
  });

  it("is started again also where nothing has told yet that its process was killed", async () => {
    const pinSource = scriptedPinSource([softHsmPin]);
    await using card = await open({ pinSource });
    const stat = `/proc/${card.signerPid}/stat`;
    process.kill(Number(card.signerPid), "SIGKILL");
    // Without a turn of the event loop, which would tell of it.
    const endsAt = performance.now() + deadlines.otherMs;
    while (!/\) Z /.test(readFileSync(stat, "utf8")) && performance.now() < endsAt);
    await expect(testSignature(card)).rejects.toMatchObject({ code: "card.crashed" });
    await expect(testSignature(card)).resolves.toBeDefined();
    expect(pinSource.asked.map(({ reason }) => reason)).toEqual(["first", "signer-restarted"]);
  });

  it("is reported for C_Login too, and gets the PIN only once", async () => {
    for (const [how, code] of [
      ["C_Login hang", "card.hung"],
      ["C_Login crash", "card.crashed"],
      ["C_Login 5", "card.failed"],
    ]) {
      const pinSource = scriptedPinSource([softHsmPin]);
      await faulty.fail(String(how));
      const otherMs = how === "C_Login hang" ? 1_000 : deadlines.otherMs;
      await expect(open({ pinSource, deadlines: { ...deadlines, otherMs } })).rejects.toMatchObject({ code });
      expect(pinSource.asked).toHaveLength(1);
    }
  });

  it("is waited for, and said so, while it takes more than a second; so are signatures that wait behind that one", async () => {
    const waits: unknown[] = [];
    const queues: unknown[] = [];
    await using card = await open({
      // Shorter than both signatures together: the second one's runs from its turn on.
      deadlines: { ...deadlines, signMs: 3_200 },
      events: { onWaiting: (wait) => waits.push(wait), onQueue: (queue) => queues.push(queue) },
    });
    await faulty.fail("C_Sign slow 2000");
    await Promise.all([testSignature(card), testSignature(card)]);
    expect(waits).toEqual([
      { operation: "sign", token: "faulty" },
      { operation: "sign", token: "faulty" },
    ]);
    expect(queues).toEqual([{ waiting: 1, token: "faulty" }]);
  });

  it("never sees a signature whose request was aborted while it waited for its turn", async () => {
    await using card = await open();
    const before = (await faulty.calls()).length;
    await faulty.fail("C_Sign slow 300");
    const first = testSignature(card);
    const abort = new AbortController();
    const second = testSignature(card, { signal: abort.signal });
    abort.abort(new Error("not wanted any more"));
    await expect(second).rejects.toThrow("not wanted any more");
    await expect(first).resolves.toBeDefined();
    await faulty.fail("");
    await expect(testSignature(card)).resolves.toBeDefined();
    expect((await faulty.calls()).slice(before)).toEqual(["C_Sign", "C_Sign"]);
  });

  it("lets go of whoever aborts a signature that is under way, and finishes it for itself", async () => {
    await using card = await open();
    const signs = (await faulty.calls()).filter((call) => call === "C_Sign").length;
    await faulty.fail("C_Sign slow 400");
    const abort = new AbortController();
    const aborted = testSignature(card, { signal: abort.signal });
    await faulty.called("C_Sign", signs + 1);
    abort.abort(new Error("not wanted any more"));
    await expect(aborted).rejects.toThrow("not wanted any more");
    await faulty.fail("");
    await expect(testSignature(card)).resolves.toBeDefined();
    expect(card.pinEntries).toBe(1);
  });

  it("is closed within seconds while it hangs", async () => {
    const card = await open({ deadlines: { ...deadlines, signMs: 60_000 } });
    await faulty.fail("C_Sign hang");
    const signs = (await faulty.calls()).filter((call) => call === "C_Sign").length;
    const signature = expect(testSignature(card)).rejects.toMatchObject({ code: "canceled" });
    const pid = Number(card.signerPid);
    await faulty.called("C_Sign", signs + 1);
    await card.close();
    await card.close();
    await signature;
    await expect(processGone(pid, 0)).resolves.toBeUndefined();
    await expect(testSignature(card)).rejects.toMatchObject({ code: "canceled" });
  });

  it("is gone soon after its parent was killed in the middle of a call", async () => {
    await faulty.fail("C_Sign hang");
    const program = fileURLToPath(new URL("./testing/orphaned-signer.ts", import.meta.url));
    const tsx = createRequire(import.meta.url).resolve("tsx");
    const parent = spawn(
      process.execPath,
      ["--import", tsx, "--conditions=@farside/source", program, JSON.stringify(faulty.options)],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    const [line] = await once(parent.stdout, "data");
    const pid = Number(String(line));
    expect(pid).toBeGreaterThan(1);
    parent.kill("SIGKILL");
    await expect(processGone(pid, 20_000)).resolves.toBeUndefined();
  });
});

describe("a reader with a PIN pad", () => {
  let faulty: FaultyCard;
  beforeAll(async () => {
    faulty = await startFaultyCard();
  });
  afterAll(() => faulty[Symbol.asyncDispose]());

  it("is used with OpenSC, and with other modules only where that was asked for", async () => {
    const pinSource = scriptedPinSource([]);
    const env = { ...faulty.options.env, P11_PIN_PAD: softHsmPin };
    const passEnvironment = [...faulty.options.passEnvironment, "P11_PIN_PAD"];
    const waits: unknown[] = [];
    const options = { ...faulty.options, env, passEnvironment, pinSource };
    await expect(openCard(options)).rejects.toMatchObject({
      code: "card.pin-unavailable",
      hint: expect.stringContaining("--pin-pad"),
    });
    expect(await faulty.calls()).toEqual([]);
    await using card = await openCard({
      ...{ ...options, pinPad: true },
      events: { onWaiting: ({ operation }) => waits.push(operation) },
    });
    await expect(testSignature(card)).resolves.toBeDefined();
    expect([pinSource.asked, waits]).toEqual([[], ["pin-pad"]]);
  });
});

describe("the signer process", () => {
  let faulty: FaultyCard;
  beforeAll(async () => {
    faulty = await startFaultyCard();
  });
  afterAll(() => faulty[Symbol.asyncDispose]());

  it("shows the PIN nowhere, has a session of its own, dumps no core, and leaves no file", async () => {
    const folder = await mkdtemp(join(tmpdir(), "farside-no-file-"));
    const env = {
      ...{ ...faulty.options.env, MY_PIN: softHsmPin, OPENSC_DEBUG: "9" },
      ...{ XDG_RUNTIME_DIR: folder, TMPDIR: folder },
    };
    await using card = await openCard({
      ...{ ...faulty.options, env, login: "on-sign" },
      pinSource: scriptedPinSource([softHsmPin]),
    });
    await testSignature(card);
    const pid = Number(card.signerPid);
    const facts = await processFacts(pid);
    expect(`${facts.commandLine} ${facts.environment}`).not.toContain(softHsmPin);
    const names = facts.environment.map((line) => line.split("=")[0]);
    expect(names).not.toContain("OPENSC_DEBUG");
    expect(names).not.toContain("MY_PIN");
    // Here the limit may be 0 in any case; that nobody can raise it is farside's doing.
    expect(facts).toMatchObject({
      ...{ group: pid, session: pid },
      ...{ coreDumpBytes: ["0", "0"], coreDumpMemory: "00000000" },
    });
    // What runs it from its source keeps that compiled.
    expect((await readdir(folder)).filter((name) => !name.startsWith("tsx-"))).toEqual([]);
    await card.close();
    await rm(folder, { recursive: true });
    await expect(processGone(pid, 0)).resolves.toBeUndefined();
  });

  it("opens no debugger to the users of the machine when somebody sends it SIGUSR1", async () => {
    await using card = await openCard({
      ...faulty.options,
      pinSource: scriptedPinSource([softHsmPin]),
    });
    const pid = Number(card.signerPid);
    process.kill(pid, "SIGUSR1");
    for (let count = 0; count < 10; count += 1) await testSignature(card);
    expect(await listeningPorts(pid)).toEqual([]);
  });
});
