import { CodedError } from "@farside/protocol";
import { fingerprint, isFingerprint } from "./fingerprint.ts";
import type { HostKeyPlace, HostKeyVerifier } from "./host-key.ts";
import { keyTypeOf } from "./public-key-type.ts";

/**
 * Accepts the given host keys and no others, whatever the host is called: what the agent checks hops against. Needs no
 * files. Rejects with `host-key.changed`.
 */
export class PinnedHostKeys implements HostKeyVerifier {
  readonly #fingerprints: ReadonlySet<string>;
  readonly #keyTypes: readonly string[];

  constructor(blobs: readonly Uint8Array[], fingerprints: Iterable<string> = []) {
    this.#fingerprints = new Set([...blobs.map(fingerprint), ...fingerprints]);
    this.#keyTypes = [...new Set(blobs.map(keyTypeOf))];
  }

  /** Pins keys of which only the SHA-256 fingerprints are known (`SHA256:…`). Throws `config.invalid` on another form. */
  static fromFingerprints(fingerprints: readonly string[]): PinnedHostKeys {
    const malformed = fingerprints.find((text) => !isFingerprint(text));
    if (malformed !== undefined)
      throw new CodedError("config.invalid", `"${malformed}" is not a host key fingerprint`, {
        hint: "Give it as SHA256: and 43 characters, as `ssh-keygen -lf` prints it.",
      });
    return new PinnedHostKeys([], new Set(fingerprints));
  }

  keyTypes(): readonly string[] {
    return this.#keyTypes;
  }

  async verify(blob: Uint8Array, place: HostKeyPlace): Promise<void> {
    const shown = fingerprint(blob);
    if (this.#fingerprints.has(shown)) return;
    throw new CodedError(
      "host-key.changed",
      `the host key of ${place.host} port ${place.port} is ${shown}, not one that was declared for it`,
      {
        hint: "If the host was set up anew, check the fingerprint with its administrator and update known_hosts.",
        data: {
          fingerprint: shown,
          host: place.host,
          port: place.port,
          // For whoever declared the keys and may know more: the operator may be asked about this one.
          hostKey: Buffer.from(blob).toString("base64"),
        },
      },
    );
  }
}
