import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type CardPresence,
  type OpenCardOptions,
  openCard,
  resolveProviderPath,
  testSignature,
} from "@farside/smartcard";
import { compileFaultModule, signerUnderTest } from "@farside/smartcard/testing";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startCard, type VirtualCard } from "./lab/card/main.ts";
import { waitFor, within } from "./support/wait-for.ts";

/** What a removal may take to be noticed. */
const NOTICE_MS = 2_000;

describe("a card that is taken out", () => {
  let dir = "";
  let virtual: VirtualCard;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "farside-presence-"));
    virtual = await startCard({ dir, slots: { "9a": "p256" } });
  });
  afterAll(async () => {
    await virtual?.close();
    await rm(dir, { recursive: true, force: true });
  });
  beforeEach(() => virtual.resetCounters());
  afterEach(() => virtual.insert());

  const watched = async (more: Partial<OpenCardOptions> = {}) => {
    const states: CardPresence["phase"][] = [];
    const reasons: string[] = [];
    let answer = async (_signal: AbortSignal | undefined): Promise<string> => virtual.pin;
    const card = await openCard({
      env: { ...process.env, PCSCLITE_CSOCK_NAME: virtual.csockName },
      signerEntry: signerUnderTest,
      pinSource: {
        isInteractive: true,
        ask: async ({ reason, signal }) => {
          reasons.push(reason);
          return answer(signal);
        },
        confirmLastTry: async () => false,
      },
      events: { onPresence: ({ phase }) => states.push(phase) },
      ...more,
    });
    return {
      card,
      states,
      reasons,
      answerWith: (next: typeof answer) => {
        answer = next;
      },
      reaches: (phase: CardPresence["phase"], withinMs = 10_000) =>
        waitFor(() => states.at(-1) === phase, {
          what: `the state ${phase}`,
          withinMs,
          isFair: true,
          detail: () => states.join(),
        }),
      [Symbol.asyncDispose]: () => card.close(),
    };
  };

  test("is missed within two seconds, and asks for one PIN when it is back and wanted", async () => {
    await using it = await watched();
    await testSignature(it.card);
    expect(it.states).toEqual(["present"]);
    await virtual.remove();
    await it.reaches("removed", NOTICE_MS);
    await expect(testSignature(it.card)).rejects.toMatchObject({ code: "card.removed", leg: "card" });
    await virtual.insert();
    await it.reaches("pin-needed");
    await testSignature(it.card);
    await testSignature(it.card);
    expect(it.states).toEqual(["present", "removed", "pin-needed", "present"]);
    expect(it.reasons).toEqual(["first", "card-reinserted"]);
    expect(await virtual.counters()).toMatchObject({ verifies: 2 });
  });

  test("is missed within two seconds also by a module that tells of no slot events", async () => {
    const [provider, fault, calls] = ["module.so", "fault", "calls"].map((name) => join(dir, name)) as [
      string,
      string,
      string,
    ];
    await compileFaultModule(provider);
    // CKR_FUNCTION_NOT_SUPPORTED.
    await writeFile(fault, "C_WaitForSlotEvent 84");
    const env = {
      ...{ ...process.env, PCSCLITE_CSOCK_NAME: virtual.csockName },
      ...{ P11_REAL: resolveProviderPath(undefined), P11_FAULT: fault, P11_CALLS: calls },
    };
    await using it = await watched({ provider, env });
    await virtual.remove();
    await it.reaches("removed", NOTICE_MS);
    await virtual.insert();
    await it.reaches("pin-needed");
    expect(await readFile(calls, "utf8")).toContain("C_WaitForSlotEvent");
  });

  test("is waited for by what wants a signature, where that was asked for", async () => {
    await using it = await watched({ whileRemoved: "wait" });
    await virtual.remove();
    await it.reaches("removed", NOTICE_MS);
    const both = Promise.all([testSignature(it.card), testSignature(it.card)]);
    await it.reaches("waiting");
    const abort = new AbortController();
    const third = testSignature(it.card, { signal: abort.signal });
    abort.abort(new Error("not wanted any more"));
    await expect(third).rejects.toThrow("not wanted any more");
    await virtual.insert();
    await within(both, 60_000, "both signatures");
    expect(it.reasons).toEqual(["first", "card-reinserted"]);
    expect(it.states.at(-1)).toBe("present");
    expect(await virtual.counters()).toMatchObject({ verifies: 2 });
  });

  test("is waited for, with its PIN, before anybody is dialled; a signature that somebody waits for fails meanwhile", async () => {
    await using it = await watched({ whileRemoved: "wait" });
    await virtual.remove();
    await it.reaches("removed", NOTICE_MS);
    const [publicKey] = await it.card.publicKeys();
    if (publicKey === undefined) throw new Error("the card has no key");
    const nobody = { hostKey: new Uint8Array(), signature: new Uint8Array() };
    const wanted = { publicKey, algorithm: publicKey.type, data: Buffer.from("data"), proof: nobody };
    await expect(it.card.sign({ ...wanted, failsWithoutCard: true })).rejects.toMatchObject({
      code: "card.removed",
    });
    const ready = it.card.ready({});
    await it.reaches("waiting");
    await virtual.insert();
    await within(ready, 60_000, "the card");
    expect(it.states.at(-1)).toBe("present");
    await it.card.sign({ ...wanted, failsWithoutCard: true });
    expect(it.reasons).toEqual(["first", "card-reinserted"]);
  });

  test("ends the question for its PIN: what is typed then is sent nowhere", async () => {
    await using it = await watched({ login: "on-sign" });
    const asked = new Promise<AbortSignal | undefined>((resolve) => {
      it.answerWith(
        (signal) =>
          new Promise((_, reject) => {
            signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
            resolve(signal);
          }),
      );
    });
    const signature = testSignature(it.card);
    signature.catch(() => {});
    await asked;
    await virtual.remove();
    await expect(within(signature, 2 * NOTICE_MS, "the end of the question")).rejects.toMatchObject({
      code: "card.removed",
    });
    expect(await virtual.counters()).toMatchObject({ verifies: 0 });
  });

  test("for less time than between two looks has lost its login: the next signature asks for the PIN, and is made", async () => {
    await using it = await watched({ watchIntervalMs: 0 });
    await virtual.remove();
    await virtual.insert();
    await testSignature(it.card);
    // Mostly a reset is all that OpenSC sees of such a swap; where pcscd looked just between the two, it was out.
    expect(it.reasons).toEqual(["first", expect.stringMatching(/^card-(reset|reinserted)$/)]);
    expect(await virtual.counters()).toMatchObject({ verifies: 2 });
  });

  test("lets go of who waits for it when it is closed for good", async () => {
    await using it = await watched({ whileRemoved: "wait" });
    await virtual.remove();
    await it.reaches("removed", NOTICE_MS);
    const waiting = testSignature(it.card);
    waiting.catch(() => {});
    await it.reaches("waiting");
    await it.card.close();
    await expect(within(waiting, 5_000, "the end of the wait")).rejects.toMatchObject({ code: "canceled" });
  });
});
