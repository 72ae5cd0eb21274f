import { generateKeyPairSync } from "node:crypto";
import { EventEmitter } from "node:events";
import type { Duplex } from "node:stream";
import { isCodedError } from "@farside/protocol";
import type { FuzzTarget } from "@farside/protocol/testing";
import { parseConfigOutput } from "../config-output.ts";
import { interpretConfig } from "../config-values.ts";
import { hostCertificateFault, hostKeyIn } from "../host-certificate.ts";
import { KexTap } from "../kex-tap.ts";
import { matchesHosts, parseKnownHosts } from "../known-hosts-file.ts";
import { parsePublicKey, publicKeyBlob, publicKeyObject } from "../public-key.ts";
import { signatureBlob, signatureValue, verifySignature } from "../ssh-signature.ts";
import { encodeUserauthRequest, parseUserauthRequest } from "../userauth-request.ts";
import { encodeString } from "../wire.ts";
import { hostCertificate } from "./host-certificate.ts";

/** Runs `decode`; its one allowed failure is the one that `isAllowed` knows. */
function allowing<T>(isAllowed: (error: unknown) => boolean, decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (isAllowed(error)) return undefined;
    throw error;
  }
}
const isRange = (error: unknown): boolean => error instanceof RangeError;

const message = Buffer.from("an exchange hash");
const signers = [
  { algorithm: "ssh-ed25519", ...generateKeyPairSync("ed25519") },
  { algorithm: "ecdsa-sha2-nistp256", ...generateKeyPairSync("ec", { namedCurve: "P-256" }) },
  { algorithm: "rsa-sha2-512", ...generateKeyPairSync("rsa", { modulusLength: 2048 }) },
].map(({ algorithm, publicKey, privateKey }) => {
  const blob = publicKeyBlob(publicKey);
  return { blob, signature: signatureBlob(algorithm, signatureValue(privateKey, algorithm, message)) };
});
const blobs = signers.map(({ blob }) => blob);
const [blob = Buffer.alloc(0)] = blobs;
const authority = generateKeyPairSync("ed25519");
const authorityBlob = publicKeyBlob(authority.publicKey);
const signatureOver = (bytes: Uint8Array) =>
  signatureBlob("ssh-ed25519", signatureValue(authority.privateKey, "ssh-ed25519", bytes));
const certificates = blobs.map((each) => hostCertificate(each, { blob: authorityBlob, signatureOver }));

const packet = (payload: Buffer): Buffer => {
  const padding = 8 + ((8 - ((payload.length + 5) % 8)) % 8);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(payload.length + padding + 1);
  head[4] = padding;
  return Buffer.concat([head, payload, Buffer.alloc(padding)]);
};
const lists = Buffer.concat(Array.from({ length: 10 }, () => encodeString("curve25519-sha256,ssh-ed25519")));
const exchange = Buffer.concat([
  Buffer.from("SSH-2.0-OpenSSH_9.2\r\n"),
  packet(Buffer.concat([Buffer.of(20), Buffer.alloc(16), lists, Buffer.alloc(5)])),
  packet(
    Buffer.concat([
      Buffer.of(31),
      encodeString(blob),
      encodeString("e"),
      encodeString(signers[0]?.signature ?? ""),
    ]),
  ),
  packet(Buffer.of(21)),
]);

/** Decoders of what hosts send and what files hold; for `fuzz`. */
export const fuzzTargets: readonly FuzzTarget[] = [
  {
    name: "data to be signed",
    seeds: [undefined, blob].map((hostKey) =>
      encodeUserauthRequest({
        sessionId: message,
        user: "u",
        algorithm: "ssh-ed25519",
        publicKey: blob,
        hostKey,
      }),
    ),
    words: ["publickey", "publickey-hostbound-v00@openssh.com", "ssh-connection", Buffer.of(50), "SSHSIG"],
    run: (input) => void allowing(isRange, () => parseUserauthRequest(input)),
  },
  {
    name: "host certificates",
    seeds: certificates,
    words: ["ssh-ed25519-cert-v01@openssh.com", "ssh-rsa-cert-v01@openssh.com", Buffer.alloc(8, 0xff)],
    run(input) {
      hostKeyIn(input);
      const isGood =
        hostCertificateFault(input, { name: "sign", keys: [authorityBlob], revoked: [] }) === undefined;
      if (isGood && !certificates.some((certificate) => certificate.equals(input)))
        throw new Error("a certificate is good that its authority has not signed");
    },
  },
  {
    name: "public keys",
    seeds: blobs,
    words: ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "nistp384", Buffer.of(0, 0, 0, 32)],
    run(input) {
      const key = allowing(isRange, () => parsePublicKey(input));
      if (key === undefined) return;
      if (!Buffer.from(key.blob).equals(input)) throw new Error("a key that is another one");
      const object = allowing(isRange, () => publicKeyObject(input));
      if (object !== undefined && !publicKeyBlob(object).equals(input))
        throw new Error("two spellings of a key");
    },
  },
  {
    name: "signatures",
    seeds: signers.map(({ signature }) => signature),
    words: ["ssh-ed25519", "rsa-sha2-256", "ecdsa-sha2-nistp256"],
    run(input) {
      for (const { blob: key, signature } of signers) {
        if (verifySignature(key, message, input) && !signature.equals(input))
          throw new Error("a forged signature");
      }
    },
  },
  {
    name: "known_hosts",
    seeds: [
      Buffer.from(`jump,*.example ssh-ed25519 ${blob.toString("base64")}\n`),
      Buffer.from(`@revoked |1|AAAA|AAAA ssh-ed25519 ${blob.toString("base64")} # x\n`),
    ],
    words: ["@revoked", "@cert-authority", "|1|", "*", "!", "\n", "ssh-ed25519"],
    run(input) {
      for (const { hosts, type, blob: key } of parseKnownHosts(input.toString("utf8"), "file")) {
        matchesHosts(hosts, "jump");
        if (!key.subarray(4).toString("latin1").startsWith(type)) throw new Error("a key of another type");
      }
    },
  },
  {
    name: "ssh -G",
    seeds: [
      Buffer.from("user me\nport 22\nhostname %h\nproxycommand nc %h %p\nuserknownhostsfile ~/.ssh/a /b\n"),
    ],
    words: ["identityfile ", "connecttimeout ", "stricthostkeychecking ", "identityagent $", "%d", "none"],
    run(input) {
      const isInvalid = (error: unknown) => isCodedError(error) && error.code === "config.invalid";
      allowing(isInvalid, () => interpretConfig("alias", parseConfigOutput("alias", input.toString("utf8"))));
    },
  },
  {
    name: "key exchange",
    seeds: [exchange],
    words: ["SSH-2.0-", "\n", Buffer.of(0, 0, 0, 12), Buffer.of(31), Buffer.of(33)],
    longest: 4_096,
    run(input) {
      const read = (chunks: readonly Buffer[]) => {
        const stream = new EventEmitter();
        let violations = 0;
        const tap = new KexTap(stream as unknown as Duplex, () => {
          violations += 1;
        });
        for (const chunk of chunks) stream.emit("data", chunk);
        return JSON.stringify([tap.ident, tap.offer, tap.proof, violations]);
      };
      const at = input.length === 0 ? 0 : (input[0] ?? 0) % input.length;
      if (read([input]) !== read([input.subarray(0, at), input.subarray(at)]))
        throw new Error("a split is seen");
    },
  },
];
