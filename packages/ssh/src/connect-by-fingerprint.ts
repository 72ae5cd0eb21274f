import { CodedError, isCodedError } from "@farside/protocol";
import { hostKeyTypesOf, signatureAlgorithmsOf } from "./algorithms.ts";
import { fingerprint } from "./fingerprint.ts";
import { Hop } from "./hop.ts";
import type { HopOptions } from "./hop-options.ts";
import { keyTypeOf } from "./public-key-type.ts";

/**
 * As `Hop.connect`, to a host of whose keys perhaps only fingerprints are known, which say nothing of their types: where it
 * shows a key that is not accepted, it is asked for its others, a connection each, until one is accepted or has one of
 * `fingerprints`. Rejects as that does: with `host-key.changed` for that one, or for the first, which then has all that the
 * host has in its message and in `data.hostKeys` (base64). `onBrokenOff` is told of each connection before the last: the host
 * has seen somebody who did not log in.
 */
export async function connectByFingerprint(
  options: HopOptions,
  fingerprints: readonly string[] = [],
  onBrokenOff: (error: CodedError) => void = () => {},
): Promise<Hop> {
  const refused: Refused[] = [];
  /** Algorithms of one connection each; those of the host's other keys come with the first key that is refused. */
  const attempts: (readonly string[] | undefined)[] = [options.algorithms?.hostKeys];
  for (const hostKeys of attempts) {
    try {
      return await Hop.connect({ ...options, algorithms: { ...options.algorithms, hostKeys } });
    } catch (error) {
      const one = fingerprints.length === 0 ? undefined : refusedKey(error);
      if (one === undefined || fingerprints.includes(one.fingerprint)) throw error;
      if (refused.length === 0) attempts.push(...othersOf(one, options));
      refused.push(one);
      if (refused.length < attempts.length) onBrokenOff(one.error);
    }
  }
  throw noneOf(refused, options);
}

/** A key that the host showed and that was not accepted. */
interface Refused {
  readonly error: CodedError;
  readonly blob: Buffer;
  readonly type: string;
  readonly fingerprint: string;
  /** Of the keys that the host has besides. */
  readonly otherTypes: readonly string[];
}

function refusedKey(error: unknown): Refused | undefined {
  if (!isCodedError(error) || error.code !== "host-key.changed") return undefined;
  const { hostKey, offered } = error.data ?? {};
  if (typeof hostKey !== "string" || typeof offered !== "string") return undefined;
  const blob = Buffer.from(hostKey, "base64");
  const type = keyTypeOf(blob);
  const otherTypes = hostKeyTypesOf(offered.split(",")).filter((each) => each !== type);
  return { error, blob, type, fingerprint: fingerprint(blob), otherTypes };
}

/** For each other key of the host that may be asked for, the algorithms that ask for it. */
function othersOf({ otherTypes }: Refused, { algorithms }: HopOptions): string[][] {
  return otherTypes
    .map((type) => signatureAlgorithmsOf(type).filter((name) => algorithms?.hostKeys?.includes(name) ?? true))
    .filter((names) => names.length > 0);
}

function noneOf(refused: readonly Refused[], { host, port }: HopOptions): CodedError {
  const [first] = refused;
  if (first === undefined) throw new Error("no key was refused");
  const { code, message, hint, leg, data } = first.error;
  const names = refused.map((one) => `${one.type} ${one.fingerprint}`).join(", ");
  const all = `the host keys of ${host} port ${port} are ${names}, none of which was declared for it`;
  return new CodedError(code, refused.length === 1 ? message : all, {
    ...{ hint, leg, cause: first.error },
    data: { ...data, hostKeys: refused.map(({ blob }) => blob.toString("base64")).join(",") },
  });
}
