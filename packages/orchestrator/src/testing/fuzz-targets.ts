import { randomBytes } from "node:crypto";
import { isCodedError } from "@farside/protocol";
import type { FuzzTarget } from "@farside/protocol/testing";
import { encodeString, WireReader } from "@farside/ssh/wire";
import { DestinationGuard } from "../destination-guard.ts";
import { parseForwardSpec } from "../forward-spec.ts";
import { formatHopSpec, parseHopSpec } from "../hop-spec.ts";
import { makeTestKey, userauthData } from "./userauth.ts";

/** Runs `read`; its one allowed failure is `usage.invalid`. */
function asTyped<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isCodedError(error) && error.code === "usage.invalid" && !/\p{Cc}/u.test(error.message))
      return undefined;
    throw error;
  }
}

const [hostKey, ourKey] = [makeTestKey("ssh-ed25519"), makeTestKey("ssh-ed25519")];
const sessionId = randomBytes(32);
const good = [
  userauthData({ sessionId, publicKey: ourKey.blob }),
  Buffer.from(hostKey.blob),
  hostKey.signatureOver(sessionId),
];
/** The three byte strings of a request as one input. */
const joined = Buffer.concat(good.map(encodeString));

/** The guard, and what is written on the command line; for `fuzz`. */
export const fuzzTargets: readonly FuzzTarget[] = [
  {
    name: "destination guard",
    seeds: [joined],
    words: [
      "publickey",
      "publickey-hostbound-v00@openssh.com",
      "signer",
      "root",
      "ssh-connection",
      "ssh-ed25519",
    ],
    run(input) {
      let parts: Buffer[];
      try {
        const reader = new WireReader(input);
        parts = [reader.string(), reader.string(), reader.string()];
      } catch {
        parts = [input, input, input];
      }
      const [data = input, key = input, serverSignature = input] = parts;
      const guard = new DestinationGuard({ onDecision: () => {} });
      const hop = {
        hopId: "1",
        user: "signer",
        host: "sign",
        port: 22,
        hostKeys: [hostKey.blob],
        publicKeys: [ourKey],
      };
      guard.declare(hop);
      const { decision } = guard.decide({ hopId: "1", data, hostKey: key, serverSignature });
      const isGood = parts.every((part, index) => part.equals(good[index] as Buffer)) || isHostBound(parts);
      if ((decision === "signed") !== isGood)
        throw new Error(`${decision}, where it is ${isGood ? "" : "not "}good`);
    },
  },
  {
    name: "-L",
    seeds: ["4444:localhost:4444", "[::1]:80:[::1]:80", "/a:/b", "*:1:/x", "a\\:b/:h:1"].map((text) =>
      Buffer.from(text),
    ),
    words: ["localhost", "[", "]", ":", "\\", "/", "65535", "::1", "*"],
    longest: 300,
    run: (input) => void asTyped(() => parseForwardSpec(input.toString("utf8"))),
  },
  {
    name: "hop",
    seeds: ["u@h:22", "ssh://u%40d@h:22/", "[fe80::1%eth0]:1", "a@b@c"].map((text) => Buffer.from(text)),
    words: ["ssh://", "@", "[", "]", ":", "%", "%40", "-", "$"],
    longest: 300,
    run(input) {
      const hop = asTyped(() => parseHopSpec(input.toString("utf8"), "--via"));
      if (hop === undefined) return;
      if (/^-|[\s'"`$;&|<>\\]/.test(`${hop.user ?? "u"}`) || hop.host.startsWith("-"))
        throw new Error("not a safe hop");
      const again = parseHopSpec(formatHopSpec(hop), "--via");
      if (formatHopSpec(again) !== formatHopSpec(hop)) throw new Error("another hop");
    },
  },
];

/** The same login in the form that names the host key is as good. */
function isHostBound([data, key, proof]: readonly Buffer[]): boolean {
  const method = "publickey-hostbound-v00@openssh.com";
  const tail = encodeString(hostKey.blob);
  const bound = userauthData({ sessionId, publicKey: ourKey.blob, method, tail });
  return (
    data?.equals(bound) === true &&
    key?.equals(good[1] as Buffer) === true &&
    proof?.equals(good[2] as Buffer) === true
  );
}
