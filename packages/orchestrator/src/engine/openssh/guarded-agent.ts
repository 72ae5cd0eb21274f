import type { Duplex } from "node:stream";
import { abortable, CodedError, harmless, toCodedError } from "@farside/protocol";
import {
  fingerprint,
  hostCertificateFault,
  hostKeyIn,
  type Identity,
  isCertificate,
  parseUserauthRequest,
  signatureBlob,
  type UserauthRequest,
} from "@farside/ssh";
import { formatHop, signEvent } from "../../delegated-signing.ts";
import { type DeclaredHop, DestinationGuard } from "../../destination-guard.ts";
import type { SessionEventDraft } from "../../event-log.ts";
import { hostProofFault } from "../../host-proof.ts";
import { AgentFrames } from "./agent-frames.ts";
import { type AgentRequest, agentAnswer, algorithmOfFlags, parseAgentRequest } from "./agent-request.ts";
import type { SshHop } from "./ssh-command.ts";

/** Requests on one connection: ssh(1) makes three. */
const MAX_REQUESTS = 16;
/** Refusals that are told one by one; what comes above that is counted. */
const MAX_TOLD_REFUSALS = 100;

export interface GuardedAgentOptions {
  /** The hops that may be logged in to, each with the one key that it is offered, and pinned fingerprints. */
  readonly route: readonly SshHop[];
  /** Resolves where a key that a pinned fingerprint fits may be declared. */
  readonly judgeHostKey: (hop: DeclaredHop, blob: Uint8Array, signal: AbortSignal) => Promise<void>;
  /** Borrowed: asked only for what the destination guard accepts. */
  readonly identity: Pick<Identity, "sign">;
  readonly emit: (event: SessionEventDraft) => void;
}

type Connection =
  | { readonly phase: "unbound" }
  /** A declared host has proved that it is at the other end of the login. */
  | {
      readonly phase: "bound";
      readonly hops: readonly DeclaredHop[];
      readonly hostKey: Uint8Array;
      readonly signature: Uint8Array;
    }
  /** It did what no login does: nothing is answered any more. */
  | { readonly phase: "refused" };

/**
 * The ssh-agent that is lent to the jump host's own ssh, and through it to whoever reaches the socket there. On each
 * connection it takes exactly one session-bind of a declared hop, lists one key, and signs one login to that hop, once
 * in the session's life; the destination guard judges that as it judges the agent's requests. Everything else is
 * refused and told as an event. Once it is closed, nothing is signed at all.
 */
export class GuardedAgent {
  readonly #options: GuardedAgentOptions;
  readonly #guard: DestinationGuard;
  readonly #signedFor = new Map<string, Uint8Array>();
  readonly #closed = new AbortController();
  #refusals = 0;
  #untold = 0;
  #failure: CodedError | undefined;
  #hasListedUnbound = false;

  constructor(options: GuardedAgentOptions) {
    this.#options = options;
    this.#guard = new DestinationGuard({
      onDecision: (decision) => {
        if (decision.decision === "signed") options.emit(signEvent(decision));
        else this.#tell(signEvent(decision));
      },
    });
    for (const hop of options.route) this.#guard.declare(hop);
  }

  /** The host key of each hop that was signed for, by its id. */
  get signedFor(): ReadonlyMap<string, Uint8Array> {
    return this.#signedFor;
  }

  /** Why the identity did not sign what it was allowed to, if so. */
  get failure(): CodedError | undefined {
    return this.#failure;
  }

  /** Whether somebody wanted the keys without having said for which host: an ssh before 8.9, or no ssh. */
  get hasListedUnbound(): boolean {
    return this.#hasListedUnbound;
  }

  /** Serves one connection of the host; takes it over. */
  readonly serve = (connection: Duplex): boolean => {
    if (this.#closed.signal.aborted) {
      this.#refuse(undefined, "closed");
      return false;
    }
    void this.#serve(connection)
      .catch(() => {})
      .finally(() => {
        // EOF instead of a break: the host passes it on to its client.
        connection.end();
        connection.resume();
      });
    return true;
  };

  /** Signs nothing any more. Idempotent. */
  close(): void {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort(new CodedError("canceled", "the forwarded agent was closed"));
    if (this.#untold > 0) this.#options.emit({ event: "dropped", count: this.#untold });
  }

  async #serve(stream: Duplex): Promise<void> {
    const frames = new AgentFrames();
    let state: Connection = { phase: "unbound" };
    let requests = 0;
    for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
      for (const body of frames.push(chunk)) {
        requests += 1;
        if (requests > MAX_REQUESTS) return;
        const request = parseAgentRequest(body);
        if (request.kind === "bind") {
          state = await this.#bind(state, request);
          stream.write(state.phase === "bound" ? agentAnswer.success() : agentAnswer.failure());
        } else {
          stream.write(await this.#answer(state, request));
        }
      }
    }
  }

  async #bind(state: Connection, request: AgentRequest & { kind: "bind" }): Promise<Connection> {
    const { hostKey, sessionId, signature, isForwarding } = request;
    const { hops, fault: keyFault } = await this.#hopsOf(hostKey);
    const refuse = (reason: string): Connection => {
      this.#refuse(hops[0], reason);
      return { phase: "refused" };
    };
    if (this.#closed.signal.aborted) return refuse("closed");
    if (state.phase !== "unbound") return refuse("second-bind");
    if (isForwarding) return refuse("forwarding");
    if (hops.length === 0) return refuse(keyFault);
    const fault = hostProofFault(hostKey, sessionId, signature);
    if (fault !== undefined) return refuse(fault);
    // A pinned key is known from now on; a declared one stays so.
    for (const hop of hops) this.#guard.declare({ ...hop, hostKeys: [...hop.hostKeys, hostKey] });
    return { phase: "bound", hops, hostKey, signature };
  }

  /** The hops that may show this key or certificate; `fault` is why none may. */
  async #hopsOf(shown: Uint8Array): Promise<{ readonly hops: readonly SshHop[]; readonly fault: string }> {
    const hops: SshHop[] = [];
    const faults: string[] = [];
    for (const hop of this.#options.route) {
      const fault = await this.#hostKeyFault(hop, shown);
      if (fault === undefined) hops.push(hop);
      else faults.push(fault);
    }
    // The most telling one: another hop's authorities have nothing to do with it.
    const isTelling = (fault: string) => !["host-key", "certificate-authority"].includes(fault);
    return { hops, fault: faults.find(isTelling) ?? faults[0] ?? "host-key" };
  }

  /** As ssh(1): a certificate that does not count may still be about a key that is known. */
  async #hostKeyFault(hop: SshHop, shown: Uint8Array): Promise<string | undefined> {
    const key = hostKeyIn(shown);
    let fault = "host-key";
    if (isCertificate(shown) && hop.authorities !== undefined) {
      const found = hostCertificateFault(shown, hop.authorities);
      if (found === undefined) return undefined;
      if (found === "certificate-revoked") return found;
      fault = found;
    }
    if (key === undefined) return fault;
    const isDeclared = hop.hostKeys.some((accepted) => Buffer.compare(accepted, key) === 0);
    return isDeclared || (await this.#isPinned(hop, key)) ? undefined : fault;
  }

  async #isPinned(hop: SshHop, hostKey: Uint8Array): Promise<boolean> {
    if (!hop.pins.includes(fingerprint(hostKey))) return false;
    const { judgeHostKey } = this.#options;
    return judgeHostKey(hop, hostKey, this.#closed.signal).then(
      () => true,
      () => false,
    );
  }

  async #answer(state: Connection, request: Exclude<AgentRequest, { kind: "bind" }>): Promise<Buffer> {
    const [hop] = state.phase === "bound" ? state.hops : [];
    if (request.kind === "other") return this.#refuse(hop, request.what);
    if (state.phase !== "bound") {
      if (request.kind === "list") this.#hasListedUnbound = true;
      return this.#refuse(undefined, state.phase === "refused" ? "refused-before" : "not-bound");
    }
    return request.kind === "list" ? agentAnswer.keys(keysOf(state.hops)) : this.#sign(state, request);
  }

  async #sign(
    { hops, hostKey, signature: serverSignature }: Connection & { phase: "bound" },
    { key, data, flags }: AgentRequest & { kind: "sign" },
  ): Promise<Buffer> {
    const login = loginIn(data);
    // Hosts may share a key or an authority, and a route may go to one host as two users.
    const fitting = hops.filter(({ user }) => login?.user.equals(Buffer.from(user)));
    const hop = fitting.find(({ hopId }) => !this.#signedFor.has(hopId)) ?? fitting[0] ?? hops[0];
    if (hop === undefined) return this.#refuse(undefined, "undeclared-hop");
    const [offered] = hop.publicKeys;
    if (this.#closed.signal.aborted) return this.#refuse(hop, "closed");
    if (offered === undefined || Buffer.compare(offered.blob, key) !== 0)
      return this.#refuse(hop, "public-key");
    // What is no login at all is for the guard to name.
    if (login !== undefined && algorithmOfFlags(offered.type, flags) !== login.algorithm)
      return this.#refuse(hop, "algorithm");
    if (this.#signedFor.has(hop.hopId)) return this.#refuse(hop, "spent");
    const decision = this.#guard.decide({ hopId: hop.hopId, data, hostKey, serverSignature });
    if (decision.decision === "refused") return agentAnswer.failure();
    const { publicKey, algorithm } = decision;
    this.#signedFor.set(hop.hopId, Uint8Array.from(hostKey));
    const proof = { hostKey, signature: serverSignature };
    const { signal } = this.#closed;
    try {
      const signing = this.#options.identity.sign({
        publicKey,
        algorithm,
        data: decision.data,
        proof,
        signal,
      });
      return agentAnswer.signature(signatureBlob(algorithm, await abortable(signing, signal)));
    } catch (error) {
      if (!signal.aborted) this.#failure ??= toCodedError(error);
      return agentAnswer.failure();
    }
  }

  #refuse(hop: DeclaredHop | undefined, reason: string): Buffer {
    const name = hop === undefined ? "a hop that was not declared" : formatHop(hop);
    this.#tell({
      ...{ event: "sign", hop: name, algorithm: "" },
      ...{ decision: "refused", reason: harmless(reason, 40) },
    });
    return agentAnswer.failure();
  }

  /** Whoever reaches the socket may ask as often as he likes. */
  #tell(event: SessionEventDraft): void {
    this.#refusals += 1;
    if (this.#refusals <= MAX_TOLD_REFUSALS) this.#options.emit(event);
    else this.#untold += 1;
  }
}

/** One key a hop; hops that share a host key mostly share it too. */
function keysOf(hops: readonly DeclaredHop[]) {
  const keys = hops.flatMap(({ publicKeys }) => publicKeys.slice(0, 1));
  return [...new Map(keys.map((key) => [Buffer.from(key.blob).toString("hex"), key])).values()].map(
    ({ blob, comment }) => ({ blob, comment }),
  );
}

function loginIn(data: Uint8Array): UserauthRequest | undefined {
  try {
    return parseUserauthRequest(data);
  } catch {
    return undefined;
  }
}
