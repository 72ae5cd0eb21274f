import type { SignParams } from "@farside/protocol";
import { SeededRandom } from "@farside/protocol/testing";
import { Hop, KeyFileIdentity, PinnedHostKeys, type SignRequest, verifySignature } from "@farside/ssh";
import { type KeyKind, type KeyPair, makeKeyPair, type Sshd, startSshd } from "@farside/ssh/testing";
import { encodeString } from "@farside/ssh/wire";
import { delegatedSigning } from "../delegated-signing.ts";
import { DestinationGuard } from "../destination-guard.ts";
import { type Field, forge, forgedFields } from "./forge.ts";
import { hostBound, putTogether, type SignRequestParts, takeApart } from "./sign-request-parts.ts";

export interface ForgeOptions {
  /** Forged requests in all, at least; every field has as many as every other. */
  readonly total: number;
  /** Times that each field is forged in one batch, which is one login. */
  readonly timesPerBatch: number;
  readonly seed: number;
  readonly onBatch?: (forged: number) => void;
}

export interface ForgeReport {
  readonly fields: Readonly<Record<Field, FieldReport>>;
  /** The unchanged requests, one a batch. `signed` and verified; `loggedIn`: those that a login waited for, and sshd took. */
  readonly controls: { tried: number; signed: number; logins: number; loggedIn: number };
}

export interface FieldReport {
  tried: number;
  signed: number;
  /** What refused it, and how often. */
  readonly reasons: Record<string, number>;
}

/** Ends a login of which only the request is wanted. */
const UNWANTED = new Error("not to be signed");
const MINUTE_MS = 60_000;
const hostKinds = ["ed25519", "ecdsa-256", "ecdsa-521", "rsa-2048"] as const satisfies KeyKind[];
const ourKinds = ["ed25519", "ecdsa-256", "rsa-2048"] as const satisfies KeyKind[];

/**
 * Asks the real guard and a real identity for signatures, batch by batch, each in the middle of a login to a real sshd:
 * when that asks for its signature, the batch's forged requests come first and the unchanged one last. In every second batch
 * the unchanged one is in the host-bound form, which that login is not for. Between batches the guard's clock goes on, for its budget.
 */
export async function forgeMany({ total, timesPerBatch, seed, onBatch }: ForgeOptions): Promise<ForgeReport> {
  await using elsewhere = await startSshd();
  const ours = await Promise.all(ourKinds.map((kind) => makeKeyPair(elsewhere.folder.file(kind), kind)));
  await using target = await startSshd({ hostKeys: hostKinds, authorizedKeys: ours.map(({ line }) => line) });
  const identity = await KeyFileIdentity.open({ files: ours.map(({ path }) => path) });
  const random = new SeededRandom(seed);
  const clock = { now: 0 };
  const guard = new DestinationGuard({ now: () => clock.now, onDecision: () => {} });
  const asked = { signatures: 0 };
  const handler = delegatedSigning(guard, {
    sign: (request) => {
      asked.signatures += 1;
      return identity.sign(request);
    },
  });
  const { signal } = new AbortController();
  // What the protocol's schema refuses ends the channel; here it is a refusal like any other.
  const ask = async (request: SignParams) =>
    (await handler.accept(request, { signal })) as { readonly signature: Uint8Array };

  const report: ForgeReport = {
    fields: Object.fromEntries(
      forgedFields.map((field) => [field, { tried: 0, signed: 0, reasons: {} }]),
    ) as Record<Field, FieldReport>,
    controls: { tried: 0, signed: 0, logins: 0, loggedIn: 0 },
  };
  /** Live requests of other logins, good where they were made. */
  const requests: SignRequestParts[] = [];

  const forgeAll = async (live: SignRequestParts): Promise<void> => {
    for (const field of shuffled(
      forgedFields.flatMap((each) => Array(timesPerBatch).fill(each) as Field[]),
      random,
    )) {
      const isHostBound = field === "boundHostKey" || random.below(2) === 0;
      const loot = { requests, hopIds: ["decoy", "hop-3", "", "__proto__", "hop-1 "] };
      const forged = forge(isHostBound ? hostBound(live) : live, field, loot, random);
      const fieldReport = report.fields[field];
      const before = asked.signatures;
      const reason = await ask(putTogether(forged)).then(() => "signed", reasonOf);
      fieldReport.tried += 1;
      fieldReport.reasons[reason] = (fieldReport.reasons[reason] ?? 0) + 1;
      if (reason === "signed" || asked.signatures !== before) fieldReport.signed += 1;
    }
  };

  try {
    await logIn(elsewhere, ours[0] as KeyPair, 0, async (request) => {
      requests.push(takeApart(paramsOf(request)));
      throw UNWANTED;
    });
    for (let batch = 0; batch * timesPerBatch * forgedFields.length < total; batch += 1) {
      const key = ours[batch % ours.length] as KeyPair;
      const isHostBound = batch % 2 === 1;
      declareHops(guard, target, key);
      const isIn = await logIn(target, key, batch % hostKinds.length, async (request) => {
        const live = takeApart(paramsOf(request));
        await forgeAll(live);
        requests.splice(1, 1, live);
        report.controls.tried += 1;
        const control = putTogether(isHostBound ? hostBound(live) : live);
        const { signature } = await ask(control);
        const blob = Buffer.concat([encodeString(live.algorithm), encodeString(signature)]);
        if (verifySignature(key.publicKey.blob, control.data, blob)) report.controls.signed += 1;
        return Buffer.from(signature);
      });
      if (!isHostBound) report.controls.logins += 1;
      if (isIn) report.controls.loggedIn += 1;
      clock.now += 2 * MINUTE_MS;
      onBatch?.((batch + 1) * timesPerBatch * forgedFields.length);
    }
    return report;
  } finally {
    await identity.close();
  }
}

function declareHops(guard: DestinationGuard, { user, host, port, hostKeys }: Sshd, key: KeyPair): void {
  const common = {
    ...{ host, port, publicKeys: [key.publicKey] },
    hostKeys: hostKeys.map(({ publicKey }) => publicKey.blob),
  };
  guard.declare({ ...common, hopId: "hop-1", user });
  guard.declare({ ...common, hopId: "decoy", user: "somebody-else" });
}

/** Logs in with `sign` in the place of the delegated identity; whether sshd let it. */
async function logIn(
  sshd: Sshd,
  { publicKey }: KeyPair,
  hostKey: number,
  sign: (request: SignRequest) => Promise<Buffer>,
): Promise<boolean> {
  let failure: unknown;
  const failing = (request: SignRequest): Promise<Buffer> =>
    sign(request).catch((error: unknown) => {
      if (error !== UNWANTED) failure = error;
      throw error;
    });
  try {
    const hop = await Hop.connect({
      ...{ user: sshd.user, host: sshd.host, port: sshd.port, leg: "hop" },
      hostKeys: new PinnedHostKeys([sshd.hostKeys[hostKey]?.publicKey.blob ?? new Uint8Array()]),
      identity: {
        ...{ kind: "delegated", publicKeys: async () => [publicKey], close: async () => {}, sign: failing },
        ready: async () => {},
        async [Symbol.asyncDispose]() {},
      },
    });
    await hop.close();
    return true;
  } catch {
    if (failure !== undefined) throw failure;
    return false;
  }
}

function paramsOf({ data, proof }: SignRequest): SignParams {
  return { hopId: "hop-1", data, hostKey: proof.hostKey, serverSignature: proof.signature };
}

function reasonOf(error: unknown): string {
  const { data, code } = error as { data?: { reason?: string }; code?: string };
  return data?.reason ?? code ?? String(error);
}

function shuffled<T>(list: readonly T[], random: SeededRandom): T[] {
  const mixed = [...list];
  for (let at = mixed.length - 1; at > 0; at -= 1) {
    const other = random.below(at + 1);
    [mixed[at], mixed[other]] = [mixed[other] as T, mixed[at] as T];
  }
  return mixed;
}
