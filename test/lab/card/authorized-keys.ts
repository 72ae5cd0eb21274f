import { createPublicKey } from "node:crypto";
import { encodeMpint, encodeString } from "@farside/ssh/wire";
import type { CardKey } from "./card-keys.ts";

const sshCurves: Readonly<Record<string, string>> = { "P-256": "nistp256", "P-384": "nistp384" };

/** The authorized_keys line of a card's key (RFC 4253, 6.6; RFC 5656, 3.1). */
export function authorizedKeysLine({ key, slot }: CardKey): string {
  const jwk = createPublicKey(key).export({ format: "jwk" });
  const part = (name: "n" | "e" | "x" | "y"): Buffer => Buffer.from(String(jwk[name]), "base64url");
  if (jwk.kty === "RSA") {
    const blob = Buffer.concat([encodeString("ssh-rsa"), encodeMpint(part("e")), encodeMpint(part("n"))]);
    return `ssh-rsa ${blob.toString("base64")} lab-card-${slot}`;
  }
  const curve = sshCurves[String(jwk.crv)] ?? "";
  const type = `ecdsa-sha2-${curve}`;
  const point = Buffer.concat([Buffer.of(4), part("x"), part("y")]);
  const blob = Buffer.concat([encodeString(type), encodeString(curve), encodeString(point)]);
  return `${type} ${blob.toString("base64")} lab-card-${slot}`;
}
