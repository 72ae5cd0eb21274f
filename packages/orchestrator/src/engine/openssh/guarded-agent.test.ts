import { randomBytes } from "node:crypto";
import { type Duplex, duplexPair } from "node:stream";
import { CodedError } from "@farside/protocol";
import { hostCertificate } from "@farside/ssh/testing";
import { encodeString, encodeUint32, WireReader } from "@farside/ssh/wire";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { SessionEventDraft } from "../../event-log.ts";
import { makeTestKey, type UserauthFields, userauthData } from "../../testing/userauth.ts";
import { AgentFrames } from "./agent-frames.ts";
import { GuardedAgent } from "./guarded-agent.ts";

const cardKey = makeTestKey("ssh-ed25519");
const otherKey = makeTestKey("ssh-ed25519");
const hostKey = makeTestKey("ssh-ed25519");
const foreignHost = makeTestKey("ssh-ed25519");
const hop = {
  ...{ hopId: "hop-1", user: "signer", host: "sign", port: 22 },
  ...{ hostKeys: [hostKey.blob as Uint8Array], publicKeys: [cardKey], pins: [] as string[] },
};
const FAILURE = Buffer.of(5);
const SUCCESS = Buffer.of(6);
const LIST = Buffer.of(11);
const sessionId = randomBytes(32);

const bindMessage = ({
  key = hostKey as typeof hostKey,
  session = sessionId as Uint8Array,
  signature = key.signatureOver(session) as Uint8Array,
  forwarding = 0,
  tail = Buffer.alloc(0),
} = {}) =>
  Buffer.concat([
    Buffer.of(27),
    encodeString("session-bind@openssh.com"),
    ...[key.blob, session, signature].map(encodeString),
    Buffer.of(forwarding),
    tail,
  ]);
const signMessage = (fields: Partial<UserauthFields> = {}, { key = cardKey.blob, flags = 0 } = {}) =>
  Buffer.concat([
    Buffer.of(13),
    encodeString(key),
    encodeString(userauthData({ sessionId, publicKey: cardKey.blob, ...fields })),
    encodeUint32(flags),
  ]);
const hostbound = (key: Uint8Array) => ({
  method: "publickey-hostbound-v00@openssh.com",
  tail: encodeString(key),
});

/** An agent with one hop, and a client on a connection to it; what it answers to a whole conversation. */
function lend(options: Partial<ConstructorParameters<typeof GuardedAgent>[0]> = {}) {
  const events: SessionEventDraft[] = [];
  const signed: Uint8Array[] = [];
  const agent = new GuardedAgent({
    route: [hop],
    identity: {
      sign: async ({ data }) => {
        signed.push(data);
        return new Uint8Array([7, 7]);
      },
    },
    judgeHostKey: async () => {},
    emit: (event) => events.push(event),
    ...options,
  });
  const connect = () => {
    const [near, far] = duplexPair();
    const isServed = agent.serve(far);
    return { isServed, near };
  };
  const talk = async (...messages: Uint8Array[]) => {
    const { near } = connect();
    near.end(Buffer.concat(messages.map(encodeString)));
    return answersOf(near);
  };
  const reasons = () => events.map((event) => (event.event === "sign" ? event.reason : event.event));
  return { agent, events, signed, connect, talk, reasons };
}

async function answersOf(stream: Duplex): Promise<Buffer[]> {
  const frames = new AgentFrames();
  const answers: Buffer[] = [];
  for await (const chunk of stream) answers.push(...frames.push(chunk));
  return answers;
}

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

  describe("for a host that is certified", () => {
    const [authority, stranger] = [makeTestKey("ssh-ed25519"), makeTestKey("ssh-ed25519")];
    const certified = (more = {}) => ({
      ...{ ...hop, hostKeys: [] as Uint8Array[] },
      authorities: { name: "sign", keys: [authority.blob], revoked: [] as Uint8Array[] },
      ...more,
    });
    const bindWith = (certificate: Uint8Array, signature = hostKey.signatureOver(sessionId)) =>
      bindMessage({ key: { ...hostKey, blob: certificate }, signature });
    const good = hostCertificate(hostKey.blob, authority);

    it("signs the login, also one that is bound to the certificate", async () => {
      for (const fields of [{}, hostbound(good)]) {
        const { talk, agent } = lend({ route: [certified()] });
        const answers = await talk(bindWith(good), signMessage(fields));
        expect(answers.map(([type]) => type)).toEqual([6, 14]);
        expect(agent.signedFor.get("hop-1")).toEqual(new Uint8Array(good));
      }
    });

    const now = Math.floor(Date.now() / 1000);
    const revoking = (key: Uint8Array) => ({
      authorities: { ...certified().authorities, revoked: [key] },
    });
    const refusals: Record<string, readonly [bind: Buffer, reason: string, hop?: object]> = {
      "an authority that is not its own": [
        bindWith(hostCertificate(hostKey.blob, stranger)),
        "certificate-authority",
      ],
      "a certificate for another principal": [
        bindWith(hostCertificate(hostKey.blob, authority, { principals: ["build"] })),
        "certificate-principal",
      ],
      "one that has expired": [
        bindWith(hostCertificate(hostKey.blob, authority, { validBefore: now - 1 })),
        "certificate-time",
      ],
      "one that is not valid yet": [
        bindWith(hostCertificate(hostKey.blob, authority, { validAfter: now + 60 })),
        "certificate-time",
      ],
      "one for users": [bindWith(hostCertificate(hostKey.blob, authority, { kind: 1 })), "certificate-kind"],
      "one that the authority has not signed": [
        bindWith(hostCertificate(hostKey.blob, authority, { signature: stranger.signatureOver(sessionId) })),
        "certificate-signature",
      ],
      "a revoked key": [bindWith(good), "certificate-revoked", revoking(hostKey.blob)],
      "a revoked authority": [bindWith(good), "certificate-revoked", revoking(authority.blob)],
      "a revoked key that is declared": [
        bindWith(good),
        "certificate-revoked",
        { ...revoking(hostKey.blob), hostKeys: [hostKey.blob] },
      ],
      "a session that the certified key has not signed": [
        bindWith(good, authority.signatureOver(sessionId)),
        "server-signature",
      ],
      "a certificate that breaks off": [bindWith(good.subarray(0, -1)), "certificate-format"],
      "a certificate where no authority is known": [bindWith(good), "host-key", { authorities: undefined }],
      "a plain key that nobody knows": [bindMessage(), "host-key"],
    };
    for (const [what, [bind, reason, more]] of Object.entries(refusals)) {
      it(`refuses ${what}, and signs nothing`, async () => {
        const { talk, signed, reasons } = lend({ route: [certified(more)] });
        expect(await talk(bind, LIST, signMessage())).toEqual([FAILURE, FAILURE, FAILURE]);
        expect(signed).toEqual([]);
        expect(reasons()[0]).toBe(reason);
      });
    }

    it("refuses a login that is bound to another certificate than the connection", async () => {
      const other = hostCertificate(hostKey.blob, authority);
      const { talk, reasons } = lend({ route: [certified()] });
      expect((await talk(bindWith(good), signMessage(hostbound(other)))).at(-1)).toEqual(FAILURE);
      expect(reasons()).toEqual(["bound-host-key"]);
    });

    it("looks at the key itself where it is known, whatever became of its certificate, as ssh does", async () => {
      const expired = hostCertificate(hostKey.blob, authority, { validBefore: now - 1 });
      const { fingerprint } = await import("@farside/ssh");
      const known = [
        { hostKeys: [hostKey.blob] },
        { hostKeys: [hostKey.blob], authorities: undefined },
        { pins: [fingerprint(hostKey.blob)] },
      ];
      for (const more of known) {
        const answers = await lend({ route: [certified(more)] }).talk(bindWith(expired), signMessage());
        expect(answers.map(([type]) => type)).toEqual([6, 14]);
      }
    });

    it("does not let one hop's authority stand for another hop", async () => {
      const second = { ...hop, hopId: "hop-2", user: "root", hostKeys: [foreignHost.blob] };
      const { talk, signed } = lend({ route: [certified(), second] });
      const answers = await talk(bindWith(good), signMessage({ user: "root" }));
      expect(answers.at(-1)).toEqual(FAILURE);
      expect(signed).toEqual([]);
    });
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
