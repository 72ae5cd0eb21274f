import type { HopDeclaration, Peer, SignParams } from "@farside/protocol";
import { encodeString } from "@farside/ssh/wire";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { delegatedIdentity } from "./delegated-identity.ts";

const blob = Buffer.concat([encodeString("ssh-ed25519"), encodeString(Buffer.alloc(32))]);
const hop: HopDeclaration = {
  hopId: "h",
  user: "u",
  host: "sign",
  port: 22,
  hostKeys: [blob],
  publicKeys: [blob],
};
const proof = { hostKey: Buffer.from("host key"), signature: Buffer.from("server signature") };

function asking(answer: (params: SignParams, signal: AbortSignal | undefined) => Promise<Uint8Array>) {
  const peer = {
    request: async (_definition: unknown, params: SignParams, options?: { signal?: AbortSignal }) => ({
      signature: await answer(params, options?.signal),
    }),
  } as unknown as Pick<Peer, "request">;
  return delegatedIdentity(hop, peer);
}

describe("the workstation's identity", () => {
  test("offers the declared keys with their types", async () => {
    const identity = asking(async () => Buffer.alloc(0));
    expect(await identity.publicKeys()).toEqual([{ type: "ssh-ed25519", blob, comment: "" }]);
  });

  test("is asked with the hop and what the host has proved", async () => {
    const asked: SignParams[] = [];
    const identity = asking(async (params) => {
      asked.push(params);
      return Buffer.from("signature");
    });
    const [publicKey] = await identity.publicKeys();
    if (publicKey === undefined) throw new Error("no key");
    const data = Buffer.from("request");
    const signature = await identity.sign({ publicKey, algorithm: "ssh-ed25519", data, proof });
    expect(Buffer.from(signature).toString()).toBe("signature");
    expect(asked).toEqual([{ hopId: "h", data, hostKey: proof.hostKey, serverSignature: proof.signature }]);
  });

  test("is no longer asked when the hop gives up", async () => {
    const controller = new AbortController();
    const identity = asking(
      (_params, signal) =>
        new Promise((_resolve, reject) => signal?.addEventListener("abort", () => reject(signal.reason))),
    );
    const [publicKey] = await identity.publicKeys();
    if (publicKey === undefined) throw new Error("no key");
    const { signal } = controller;
    const signing = identity.sign({
      publicKey,
      algorithm: "ssh-ed25519",
      data: Buffer.alloc(1),
      proof,
      signal,
    });
    const reason = new Error("the hop is gone");
    controller.abort(reason);
    await expect(signing).rejects.toBe(reason);
  });
});

describe("that the workstation's identity is waited for", () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  /** What is told while each answer takes `ms`. */
  async function toldWhen(
    ms: number,
    ask: (identity: ReturnType<typeof delegatedIdentity>) => Promise<unknown>,
  ) {
    const told: boolean[] = [];
    const answer = () => new Promise((resolve) => setTimeout(resolve, ms, { signature: Buffer.alloc(1) }));
    const peer = { request: answer } as unknown as Pick<Peer, "request">;
    const asking = ask(delegatedIdentity(hop, peer, (isWanted) => told.push(isWanted)));
    await vi.advanceTimersByTimeAsync(ms);
    await asking;
    await vi.runAllTimersAsync();
    return told;
  }
  const ready = (identity: ReturnType<typeof delegatedIdentity>) => identity.ready({});

  test("is not told where it is ready at once, and is where somebody has to help", async () => {
    expect(await toldWhen(1_900, ready)).toEqual([]);
    expect(await toldWhen(2_100, ready)).toEqual([true, false]);
  });

  test("is told of each signature", async () => {
    const publicKey = { type: "ssh-ed25519", blob, comment: "" };
    const request = { publicKey, algorithm: "ssh-ed25519", data: Buffer.alloc(1), proof };
    expect(await toldWhen(5, (identity) => identity.sign(request))).toEqual([true, false]);
  });
});
