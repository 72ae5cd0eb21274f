import type { SeededRandom } from "@farside/protocol/testing";
import { isSignatureAlgorithmOf } from "@farside/ssh";
import { HOST_BOUND, type SignRequestParts } from "./sign-request-parts.ts";

/** What a forger has besides a live request: requests that are good elsewhere, and names. */
export interface Loot {
  /** Live requests for other hosts, users, keys and connections. */
  readonly requests: readonly SignRequestParts[];
  readonly hopIds: readonly string[];
}

export type Field = keyof SignRequestParts;

/** Each is changed as often as every other one. */
export const forgedFields: readonly Field[] = [
  ...(["hopId", "sessionId", "messageNumber", "user", "service", "method", "hasSignature"] as const),
  ...(["algorithm", "keyType", "keyValue", "boundHostKey", "dataTail", "hostKeyType"] as const),
  ...(["hostKeyValue", "proofAlgorithm", "proofValue", "proofTail"] as const),
];

const NAMES = [
  ...["ssh-ed25519", "ssh-rsa", "rsa-sha2-256", "rsa-sha2-512", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384"],
  ...["ecdsa-sha2-nistp521", "sk-ssh-ed25519@openssh.com", "ssh-ed25519-cert-v01@openssh.com", "__proto__"],
];
const words: Partial<Record<Field, readonly string[]>> = {
  user: ["root", "Signer", "signer ", "signer\0", "-oProxyCommand=x", "constructor", "signer\nroot"],
  service: ["ssh-userauth", "SSH-CONNECTION", "ssh-connection\0", "ssh-connection,ssh-userauth"],
  method: ["password", "none", "hostbased", "keyboard-interactive", "PUBLICKEY", "publickey", HOST_BOUND],
  algorithm: NAMES,
  keyType: NAMES,
  hostKeyType: NAMES,
  proofAlgorithm: NAMES,
};

/** `live` with another value in `field`, and nothing else changed: a value that is good elsewhere, or some change of the bytes. */
export function forge(
  live: SignRequestParts,
  field: Field,
  loot: Loot,
  random: SeededRandom,
): SignRequestParts {
  const own = live[field];
  if (own === undefined) throw new Error(`a request without ${field} can't have it forged`);
  const elsewhere = loot.requests.flatMap(({ [field]: value }) => (value === undefined ? [] : [value]));
  const texts = field === "hopId" ? loot.hopIds : (words[field] ?? []);
  const good = [...elsewhere, ...texts.map((text) => Buffer.from(text))];
  const sizeMayChange = field !== "messageNumber" && field !== "hasSignature";
  for (;;) {
    const value: Buffer =
      random.below(2) === 0 && good.length > 0 ? random.pick(good) : changed(own, sizeMayChange, random);
    if (!value.equals(own) && !isAnotherGoodRequest(live, field, value)) return { ...live, [field]: value };
  }
}

function changed(own: Buffer, sizeMayChange: boolean, random: SeededRandom): Buffer {
  const at = random.below(own.length);
  const ways = [
    () => own.map((byte, index) => (index === at ? byte ^ (1 << random.below(8)) : byte)),
    () => own.map((byte, index) => (index === at ? random.below(256) : byte)),
    ...(sizeMayChange
      ? [
          () => own.subarray(0, at),
          () => own.subarray(Math.min(1, own.length)),
          () => Buffer.concat([own, random.bytes(1 + random.below(20))]),
          () => Buffer.concat([own, Buffer.of(0)]),
          () => Buffer.concat([Buffer.of(0), own]),
          () => random.bytes(own.length),
          () => Buffer.concat([own, own]),
        ]
      : []),
  ];
  return Buffer.from(random.pick(ways)());
}

/**
 * An RSA key signs with SHA-256 or SHA-512: which one is the login's choice. Of an ECDSA proof (r, s), (r, -s) is one too;
 * nobody finds that by chance.
 */
function isAnotherGoodRequest(live: SignRequestParts, field: Field, value: Buffer): boolean {
  return field === "algorithm" && isSignatureAlgorithmOf(live.keyType.toString(), value.toString("latin1"));
}
