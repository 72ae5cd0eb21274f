import { fingerprint } from "@farside/ssh";
import { hostCertificate } from "@farside/ssh/testing";
import { describe, expect, it } from "vitest";
import {
  bindMessage,
  FAILURE,
  foreignHost,
  hop,
  hostbound,
  hostKey,
  LIST,
  lend,
  sessionId,
  signMessage,
} from "../../testing/lent-agent.ts";
import { makeTestKey } from "../../testing/userauth.ts";

describe("a card that is lent for a host that is certified", () => {
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
