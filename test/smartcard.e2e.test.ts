import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import {
  type CardIdentity,
  listKeys,
  listTokens,
  type OpenCardOptions,
  openCard,
  type PinRequest,
  type PinSource,
  testSignature,
} from "@farside/smartcard";
import { signerUnderTest as signerEntry } from "@farside/smartcard/testing";
import { publicKeyLine } from "@farside/ssh";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type CardSlots, startCard, type VirtualCard } from "./lab/card/main.ts";
import { within } from "./support/wait-for.ts";

interface Asked extends PinSource {
  readonly asked: PinRequest[];
}

/** Answers with `pins` in turn, the last one for ever. */
function pins(answers: readonly string[], { isInteractive = true, mayLock = false } = {}): Asked {
  const asked: PinRequest[] = [];
  return {
    ...{ asked, isInteractive },
    ask: async (request) => {
      asked.push(request);
      return answers[Math.min(asked.length, answers.length) - 1] ?? "";
    },
    confirmLastTry: async () => mayLock,
  };
}

const reasons = ({ asked }: Asked): string[] => asked.map(({ reason }) => reason);

function useCard(slots: CardSlots) {
  let dir = "";
  let card: VirtualCard | undefined;
  const theCard = (): VirtualCard => {
    if (card === undefined) throw new Error("no card");
    return card;
  };
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "farside-card-"));
    card = await startCard({ dir, slots });
  });
  afterAll(async () => {
    await card?.close();
    await rm(dir, { recursive: true, force: true });
  });
  beforeEach(() => theCard().resetCounters());
  afterEach(async () => {
    await theCard().setDelay(0);
    await theCard().setTries(3);
    await theCard().insert();
  });
  const env = () => ({ ...process.env, PCSCLITE_CSOCK_NAME: theCard().csockName });
  return {
    env,
    get card() {
      return theCard();
    },
    open: (pinSource: PinSource, more: Partial<OpenCardOptions> = {}): Promise<CardIdentity> =>
      openCard({ env: env(), signerEntry, pinSource, watchIntervalMs: 0, ...more }),
  };
}

describe("a PIV card behind pcscd and OpenSC", () => {
  const lab = useCard({ "9a": "rsa2048", "9c": "p256" });

  test("is verified once for many signatures, and reset when it is let go of", async () => {
    const pinSource = pins([lab.card.pin]);
    const logins: unknown[] = [];
    const card = await lab.open(pinSource, { events: { onLogin: (login) => logins.push(login) } });
    for (let count = 0; count < 3; count += 1) await testSignature(card);
    expect(await lab.card.counters()).toMatchObject({ verifies: 1, signs: { "9a": 3 }, verified: true });
    expect(logins).toEqual([{ token: "farside lab 9a", key: "PIV AUTH pubkey", pinEntries: 1 }]);
    await card.close();
    // Another program would find it without the PIN.
    expect(await lab.card.counters()).toMatchObject({ verified: false });
  });

  test("shows its keys without a PIN, as ssh-keygen would write them", async () => {
    const { tokens } = await listTokens({ env: lab.env(), signerEntry });
    expect(tokens).toMatchObject([{ label: "farside lab 9a", pin: "ok", reader: "Virtual PCD 00 00" }]);
    const { keys } = await listKeys({ env: lab.env(), signerEntry });
    const withoutComment = (line: string): string => line.split(" ").slice(0, 2).join(" ");
    expect(keys.map(({ authorizedKeysLine }) => withoutComment(authorizedKeysLine))).toEqual(
      (await lab.card.publicKeys()).map(withoutComment),
    );
    expect(await lab.card.counters()).toMatchObject({ verifies: 0 });
  });

  test("loses exactly one try by a wrong PIN, and none by the signatures after it", async () => {
    const pinSource = pins(["654321"], { isInteractive: false });
    await using card = await lab.open(pinSource, { login: "on-sign" });
    await expect(testSignature(card)).rejects.toMatchObject({
      code: "card.pin-wrong",
      data: { triesLeft: 2 },
    });
    await expect(testSignature(card)).rejects.toMatchObject({ code: "card.pin-wrong" });
    expect(await lab.card.counters()).toMatchObject({ verifies: 1, tries: 2 });
    expect(pinSource.asked).toHaveLength(1);
  });

  test("asks a person again after a wrong PIN, and says why", async () => {
    const pinSource = pins(["654321", lab.card.pin]);
    await using card = await lab.open(pinSource, { login: "on-sign" });
    await expect(testSignature(card)).rejects.toMatchObject({ code: "card.pin-wrong" });
    await expect(testSignature(card)).resolves.toBeDefined();
    expect(reasons(pinSource)).toEqual(["first", "wrong-pin"]);
  });

  test("is not tried where its PIN is locked", async () => {
    await lab.card.setTries(0);
    const pinSource = pins([lab.card.pin]);
    await expect(lab.open(pinSource)).rejects.toMatchObject({ code: "card.pin-locked", leg: "card" });
    expect(await lab.card.counters()).toMatchObject({ verifies: 0 });
    expect(pinSource.asked).toEqual([]);
  });

  test("keeps its last try unless somebody says yes", async () => {
    await lab.card.setTries(1);
    await expect(lab.open(pins([lab.card.pin]))).rejects.toMatchObject({ code: "card.pin-last-try" });
    expect(await lab.card.counters()).toMatchObject({ verifies: 0, tries: 1 });
    const pinSource = pins([lab.card.pin], { mayLock: true });
    await using card = await lab.open(pinSource);
    expect(pinSource.asked).toMatchObject([{ lastTry: true, triesLeft: 1 }]);
    await expect(testSignature(card)).resolves.toBeDefined();
    expect(await lab.card.counters()).toMatchObject({ verifies: 1, tries: 3 });
  });

  test("says that it was taken out during a signature, and asks for the PIN when it is back", async () => {
    const pinSource = pins([lab.card.pin]);
    const seen: string[] = [];
    const { resolve: onWaiting, promise: isSigning } = withResolvers();
    await using card = await lab.open(pinSource, {
      events: { onWaiting, onRemoved: () => seen.push("removed"), onInserted: () => seen.push("inserted") },
    });
    await lab.card.setDelay(30_000);
    const signature = expect(testSignature(card)).rejects.toMatchObject({ code: "card.removed" });
    await isSigning;
    await lab.card.remove();
    await signature;
    await expect(testSignature(card)).rejects.toMatchObject({ code: "card.removed" });
    await lab.card.setDelay(0);
    await lab.card.insert();
    await expect(testSignature(card)).resolves.toBeDefined();
    expect(reasons(pinSource)).toEqual(["first", "card-reinserted"]);
  });

  test("is there again at once where it was swapped while its last user ended", async () => {
    for (let round = 0; round < 4; round++) {
      await using card = await lab.open(pins([lab.card.pin]));
      await expect(testSignature(card)).resolves.toBeDefined();
      await lab.card.remove();
      await card.close();
      await lab.card.insert();
    }
    expect(await lab.card.counters()).toMatchObject({ verifies: 4, tries: 3 });
  });

  test("is watched: its removal and its return are told", async () => {
    const removed = withResolvers();
    const inserted = withResolvers();
    await using card = await lab.open(pins([lab.card.pin]), {
      watchIntervalMs: 100,
      events: { onRemoved: removed.resolve, onInserted: inserted.resolve },
    });
    await lab.card.remove();
    // Not by the deadline of a call that hangs, 20 s.
    await within(removed.promise, 15_000, "word of the removal");
    await lab.card.insert();
    await within(inserted.promise, 15_000, "word of the return");
    expect(card.pinEntries).toBe(1);
  });

  test("asks for the PIN again, and says why, when its module had to be started again", async () => {
    const pinSource = pins([lab.card.pin]);
    await using card = await lab.open(pinSource);
    process.kill(Number(card.signerPid), "SIGKILL");
    await expect(testSignature(card)).rejects.toMatchObject({ code: "card.crashed" });
    await expect(testSignature(card)).resolves.toBeDefined();
    expect(reasons(pinSource)).toEqual(["first", "signer-restarted"]);
  });

  test("asks for the PIN again, and says why, when another program has reset it", async () => {
    const pinSource = pins([lab.card.pin]);
    await using card = await lab.open(pinSource);
    await promisify(execFile)("opensc-tool", ["--reset"], { env: lab.env() });
    await expect(testSignature(card)).resolves.toBeDefined();
    expect(reasons(pinSource)).toEqual(["first", "card-reset"]);
    expect(await lab.card.counters()).toMatchObject({ verifies: 2, signs: { "9a": 1 } });
  });

  test("asks for the PIN at each signature with a 9C key, which is offered last", async () => {
    const pinSource = pins([lab.card.pin]);
    await using card = await lab.open(pinSource);
    const [preferred, digitalSignature] = await card.publicKeys();
    expect(preferred?.type).toBe("ssh-rsa");
    await testSignature(card, { publicKey: digitalSignature });
    await testSignature(card, { publicKey: digitalSignature });
    await testSignature(card, { publicKey: preferred });
    expect(reasons(pinSource)).toEqual(["first", "always-authenticate", "always-authenticate"]);
    expect(await lab.card.counters()).toMatchObject({ verifies: 3, signs: { "9a": 1, "9c": 2 } });
  });

  test("wants one PIN for the login and the first signature of a 9C key where both come at once", async () => {
    const pinSource = pins([lab.card.pin]);
    await using card = await lab.open(pinSource, { key: "9c", login: "on-sign" });
    await testSignature(card);
    expect(reasons(pinSource)).toEqual(["first"]);
    await testSignature(card);
    expect(reasons(pinSource)).toEqual(["first", "always-authenticate"]);
    expect(card.pinEntries).toBe(2);
    expect(await lab.card.counters()).toMatchObject({ verifies: 3, signs: { "9c": 2 } });
  });

  test("warns where the chosen key needs the PIN each time", async () => {
    const warnings: unknown[] = [];
    await using card = await lab.open(pins([lab.card.pin]), {
      key: "9C",
      events: { onWarning: ({ message }) => warnings.push(message) },
    });
    expect((await card.publicKeys()).map(({ type }) => type)).toEqual(["ecdsa-sha2-nistp256"]);
    expect(warnings).toEqual(["each signature with SIGN pubkey needs the PIN (CKA_ALWAYS_AUTHENTICATE)"]);
  });

  test("costs no PIN where the token or the key is wrong", async () => {
    const pinSource = pins([lab.card.pin]);
    await expect(lab.open(pinSource, { token: "other" })).rejects.toMatchObject({
      code: "card.no-token",
      hint: expect.stringContaining("farside lab 9a"),
    });
    await expect(lab.open(pinSource, { key: "77" })).rejects.toMatchObject({
      code: "card.no-key",
      hint: expect.stringContaining('01 "PIV AUTH pubkey"'),
    });
    expect(pinSource.asked).toEqual([]);
  });
});

describe("readers and cards that aren't there", () => {
  test("are told apart: no reader, no card", async () => {
    const env = { ...process.env, PCSCLITE_CSOCK_NAME: "/nonexistent/pcscd.comm" };
    await expect(openCard({ env, signerEntry, pinSource: pins([]) })).rejects.toMatchObject({
      code: "card.no-reader",
    });
    const dir = await mkdtemp(join(tmpdir(), "farside-card-"));
    await using card = await startCard({ dir, slots: { "9a": "p384" } });
    const withReader = { ...process.env, PCSCLITE_CSOCK_NAME: card.csockName };
    await using identity = await openCard({ env: withReader, signerEntry, pinSource: pins([card.pin]) });
    const [key] = await identity.publicKeys();
    expect(key === undefined ? "" : publicKeyLine({ ...key, comment: "lab-card-9a" })).toBe(
      (await card.publicKeys())[0],
    );
    await expect(testSignature(identity)).resolves.toMatchObject({ algorithm: "ecdsa-sha2-nistp384" });
    await card.remove();
    await expect(openCard({ env: withReader, signerEntry, pinSource: pins([]) })).rejects.toMatchObject({
      code: "card.no-token",
    });
    await rm(dir, { recursive: true, force: true });
  });
});

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
