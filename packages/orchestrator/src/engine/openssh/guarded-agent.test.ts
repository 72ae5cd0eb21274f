import { randomBytes } from "node:crypto";
import { CodedError } from "@farside/protocol";
import { encodeString, encodeUint32, WireReader } from "@farside/ssh/wire";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  answersOf,
  bindMessage,
  cardKey,
  FAILURE,
  foreignHost,
  hop,
  hostbound,
  hostKey,
  LIST,
  lend,
  otherKey,
  SUCCESS,
  sessionId,
  signMessage,
} from "../../testing/lent-agent.ts";
import { userauthData } from "../../testing/userauth.ts";

describe("a lent card", () => {
  it("lists one key and signs one login to the host that has proved itself", async () => {
    const { talk, signed, reasons, agent } = lend();
    const [bound, keys, signature] = await talk(bindMessage(), LIST, signMessage());
    expect(bound).toEqual(SUCCESS);
    const list = new WireReader((keys ?? FAILURE).subarray(1));
    expect([list.uint32(), list.string()]).toEqual([1, Buffer.from(cardKey.blob)]);
    const blob = new WireReader(new WireReader((signature ?? FAILURE).subarray(1)).string());
    expect([blob.name(), [...blob.string()]]).toEqual(["ssh-ed25519", [7, 7]]);
    expect(signed).toEqual([new Uint8Array(userauthData({ sessionId, publicKey: cardKey.blob }))]);
    expect(reasons()).toEqual(["declared-destination"]);
    expect([...agent.signedFor.keys()]).toEqual(["hop-1"]);
  });

  it("signs a login that is bound to the host's key", async () => {
    const { talk } = lend();
    const answers = await talk(bindMessage(), signMessage(hostbound(hostKey.blob)));
    expect(answers.map(([type]) => type)).toEqual([6, 14]);
  });

  const refused: Record<string, readonly [messages: Uint8Array[], reason: string]> = {
    "a list before a bind": [[LIST], "not-bound"],
    "a signature before a bind": [[signMessage()], "not-bound"],
    "a second bind": [[bindMessage(), bindMessage()], "second-bind"],
    "a second bind of another session": [
      [bindMessage(), bindMessage({ session: randomBytes(32) })],
      "second-bind",
    ],
    "a signature after a second bind": [[bindMessage(), bindMessage(), signMessage()], "refused-before"],
    "a bind after one that was refused": [[bindMessage({ forwarding: 1 }), bindMessage()], "second-bind"],
    "a bind for forwarding": [[bindMessage({ forwarding: 1 })], "forwarding"],
    "a bind with a strange flag": [[bindMessage({ forwarding: 2 })], "malformed"],
    "a bind with a byte too many": [[bindMessage({ tail: Buffer.of(0) })], "malformed"],
    "a bind of a foreign host": [[bindMessage({ key: foreignHost })], "host-key"],
    "a bind that another key has signed": [
      [bindMessage({ signature: foreignHost.signatureOver(sessionId) })],
      "server-signature",
    ],
    "a bind of another session's signature": [
      [bindMessage({ signature: hostKey.signatureOver(randomBytes(32)) })],
      "server-signature",
    ],
    "another session than the bound one": [
      [bindMessage(), signMessage({ sessionId: randomBytes(32) })],
      "server-signature",
    ],
    "another user": [[bindMessage(), signMessage({ user: "root" })], "user"],
    "a user with a NUL": [[bindMessage(), signMessage({ user: "signer\0" })], "user"],
    "another key": [[bindMessage(), signMessage({}, { key: otherKey.blob })], "public-key"],
    "another key in the request": [[bindMessage(), signMessage({ publicKey: otherKey.blob })], "public-key"],
    "another method": [[bindMessage(), signMessage({ method: "hostbased" })], "method"],
    "another service": [[bindMessage(), signMessage({ service: "ssh-userauth" })], "service"],
    "a question instead of a login": [[bindMessage(), signMessage({ hasSignature: 0 })], "not-userauth"],
    "a byte too many": [[bindMessage(), signMessage({ tail: Buffer.of(0) })], "not-userauth"],
    "a login bound to another host's key": [
      [bindMessage(), signMessage(hostbound(foreignHost.blob))],
      "bound-host-key",
    ],
    "flags that ask for another algorithm": [[bindMessage(), signMessage({}, { flags: 4 })], "algorithm"],
    "an algorithm of another kind of key": [
      [bindMessage(), signMessage({ algorithm: "rsa-sha2-256" })],
      "algorithm",
    ],
    "a second signature": [[bindMessage(), signMessage(), signMessage()], "spent"],
    "a signature of a file (SSHSIG)": [
      [
        bindMessage(),
        Buffer.concat([
          Buffer.of(13),
          encodeString(cardKey.blob),
          encodeString(
            Buffer.concat([
              Buffer.from("SSHSIG"),
              ...["git", "", "sha512", randomBytes(64)].map(encodeString),
            ]),
          ),
          encodeUint32(0),
        ]),
      ],
      "not-userauth",
    ],
    "adding a key": [[bindMessage(), Buffer.of(17, 0)], "add-identity"],
    "adding a constrained key": [[bindMessage(), Buffer.of(25)], "add-constrained-identity"],
    "adding a card": [[bindMessage(), Buffer.of(20)], "add-card"],
    "removing a key": [[bindMessage(), Buffer.of(18)], "remove-identity"],
    "removing all keys": [[Buffer.of(19)], "remove-all-identities"],
    "a lock": [[bindMessage(), Buffer.of(22, 0, 0, 0, 0)], "lock"],
    "an unlock": [[bindMessage(), Buffer.of(23, 0, 0, 0, 0)], "unlock"],
    "an unknown extension": [[Buffer.concat([Buffer.of(27), encodeString("query")])], "extension"],
    "an unknown request": [[bindMessage(), Buffer.of(99)], "request"],
  };
  for (const [what, [messages, reason]] of Object.entries(refused)) {
    it(`refuses ${what}, and tells it`, async () => {
      const { talk, signed, reasons } = lend();
      const answers = await talk(...messages);
      expect(answers.at(-1)).toEqual(FAILURE);
      expect(answers).toHaveLength(messages.length);
      expect(signed.length).toBe(reason === "spent" ? 1 : 0);
      expect(reasons().at(-1)).toBe(reason);
    });
  }

  it("refuses a second signature for a hop on another connection, also of another session", async () => {
    const { talk, signed } = lend();
    await talk(bindMessage(), signMessage());
    const session = randomBytes(32);
    const again = await talk(bindMessage({ session }), signMessage({ sessionId: session }));
    expect(again.map(([type]) => type)).toEqual([6, 5]);
    expect(signed).toHaveLength(1);
  });

  it("signs nothing any more once it is closed, on connections from before neither", async () => {
    const { agent, connect, signed, reasons } = lend();
    const { near } = connect();
    near.write(encodeString(bindMessage()));
    await new Promise((resolve) => near.once("readable", resolve));
    agent.close();
    near.end(encodeString(signMessage()));
    await answersOf(near);
    expect(connect().isServed).toBe(false);
    expect(signed).toEqual([]);
    expect(reasons()).toEqual(["closed", "closed"]);
  });

  it("knows the hop of a shared host key by its user", async () => {
    const { talk, agent } = lend({ route: [hop, { ...hop, hopId: "hop-2", user: "root" }] });
    await talk(bindMessage(), signMessage({ user: "root" }));
    expect([...agent.signedFor.keys()]).toEqual(["hop-2"]);
  });

  it("takes a host key by its pinned fingerprint, if that may be declared", async () => {
    const { fingerprint } = await import("@farside/ssh");
    const route = [{ ...hop, hostKeys: [], pins: [fingerprint(hostKey.blob)] }];
    const pinned = await lend({ route }).talk(bindMessage(), signMessage());
    expect(pinned.map(([type]) => type)).toEqual([6, 14]);
    const judgeHostKey = async () => {
      throw new CodedError("host-key.revoked", "revoked");
    };
    expect(await lend({ route, judgeHostKey }).talk(bindMessage())).toEqual([FAILURE]);
  });

  it("keeps why the card did not sign", async () => {
    const error = new CodedError("card.pin-wrong", "no");
    const sign = async () => {
      throw error;
    };
    const { talk, agent } = lend({ identity: { sign } });
    expect((await talk(bindMessage(), signMessage())).at(-1)).toEqual(FAILURE);
    expect(agent.failure).toBe(error);
  });

  it("tells a flood of requests in bounded events, and lets go of who sends too many", async () => {
    const { talk, agent, events } = lend();
    for (let round = 0; round < 20; round += 1) {
      expect(await talk(...Array.from({ length: 30 }, () => LIST))).toHaveLength(16);
    }
    expect(events).toHaveLength(100);
    agent.close();
    expect(events.at(-1)).toEqual({ event: "dropped", count: 220 });
  });

  it("never signs anything but that one login, whatever it is sent", async () => {
    const good = [bindMessage(), LIST, signMessage()];
    const flip = fc
      .record({ message: fc.nat(2), at: fc.nat(400), bit: fc.nat(7) })
      .map(({ message, at, bit }) =>
        good.map((body, index) => {
          const copy = Buffer.from(body);
          const place = at % copy.length;
          if (index === message) copy[place] = (copy[place] ?? 0) ^ (1 << bit);
          return copy;
        }),
      );
    const noise = fc.array(
      fc.oneof(fc.constantFrom<Uint8Array>(...good), fc.uint8Array({ minLength: 1, maxLength: 80 })),
      {
        maxLength: 10,
      },
    );
    const wanted = Buffer.from(userauthData({ sessionId, publicKey: cardKey.blob }));
    await fc.assert(
      fc.asyncProperty(fc.oneof(flip, noise), async (messages) => {
        const { talk, signed } = lend();
        await talk(...messages);
        expect(signed.length).toBeLessThanOrEqual(1);
        for (const data of signed) expect(Buffer.from(data)).toEqual(wanted);
      }),
      { numRuns: 300 },
    );
  });

  it("takes its messages in any pieces", async () => {
    const bytes = Buffer.concat([bindMessage(), LIST, signMessage()].map(encodeString));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 40 }), async (sizes) => {
        const { connect } = lend();
        const { near } = connect();
        let rest = bytes;
        for (const size of sizes) {
          near.write(rest.subarray(0, size));
          rest = rest.subarray(size);
        }
        near.end(rest);
        expect((await answersOf(near)).map(([type]) => type)).toEqual([6, 12, 14]);
      }),
      { numRuns: 50 },
    );
  });

  it("drops a client whose message is too long", async () => {
    const { connect } = lend();
    const { near } = connect();
    near.end(encodeUint32(256 * 1024 + 1));
    expect(await answersOf(near)).toEqual([]);
  });
});
