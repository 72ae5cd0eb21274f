/** Where a host key was shown: what known_hosts is asked for. */
export interface HostKeyPlace {
  /** HostKeyAlias where there is one, else the host name as dialled. */
  readonly host: string;
  readonly port: number;
}

/** Decides whether a host key is the host's. Every connection has one; there is no default. */
export interface HostKeyVerifier {
  /** Key types to ask the server for, preferred first; empty where nothing is known about the host (any type). */
  keyTypes(place: HostKeyPlace): readonly string[];
  /** Resolves when `blob` is accepted; rejects with `host-key.*`. May ask the operator. */
  verify(
    blob: Uint8Array,
    place: HostKeyPlace,
    options?: { signal?: AbortSignal | undefined },
  ): Promise<void>;
}
