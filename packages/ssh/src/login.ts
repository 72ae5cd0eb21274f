import type { Duplex } from "node:stream";
import { CodedError } from "@farside/protocol";
import { Client } from "ssh2";
import { offeredAlgorithms } from "./algorithms.ts";
import { changedMidway, connectionFailure, hostKeyFailure, type Phase } from "./errors-of-ssh2.ts";
import { harmlessLines } from "./harmless-lines.ts";
import type { HopOptions } from "./hop-options.ts";
import type { HostKeyPlace } from "./host-key.ts";
import { KexTap } from "./kex-tap.ts";
import { type LoginOwner, UnownedLogin } from "./login-owner.ts";
import { enforceLimits, internalsOf } from "./ssh2-internals.ts";
import { UserAuth, type WaitsFor } from "./user-auth.ts";

const defaultHandshakeTimeoutMs = 20_000;
const defaultAuthenticationTimeoutMs = 600_000;
/** Characters of banner that are shown, and that are tolerated. */
const maxShownBanner = 8 * 1024;
const maxBanner = 64 * 1024;

/** An authenticated client on which nothing was opened yet. */
export interface Login {
  readonly client: Client;
  readonly serverHostKey: Uint8Array;
  /** Names the owner, once; what has happened since the login is told at once. */
  handOver(owner: LoginOwner): void;
}

/**
 * From a connected stream to an authenticated ssh2 client: identification, key exchange, host key, user. Takes over
 * `stream` and destroys it on every failure; nothing is left running when it rejects. Rejects as `Hop.connect` does.
 */
export async function logIn(
  stream: Duplex,
  options: HopOptions,
  where: string,
  signal: AbortSignal,
): Promise<Login> {
  return new LoginAttempt(stream, options, where).run(signal);
}

class LoginAttempt {
  readonly #stream: Duplex;
  readonly #options: HopOptions;
  readonly #where: string;
  readonly #place: HostKeyPlace;
  readonly #client = new Client();
  readonly #tap: KexTap;
  /** Ends what we wait for when the attempt ends. */
  readonly #over = new AbortController();
  #phase: Phase = "identification";
  #deadline: NodeJS.Timeout | undefined;
  #serverHostKey: Buffer | undefined;
  #auth: UserAuth | undefined;
  #bannerLength = 0;
  #settle: { resolve: (login: Login) => void; reject: (error: unknown) => void } | undefined;
  readonly #owner = new UnownedLogin();

  constructor(stream: Duplex, options: HopOptions, where: string) {
    this.#stream = stream;
    this.#options = options;
    this.#where = where;
    this.#place = placeOf(options);
    stream.pause();
    this.#tap = new KexTap(stream, (what) => this.#failHandshake(what));
  }

  async run(signal: AbortSignal): Promise<Login> {
    const aborted = () => this.#fail(signal.reason);
    signal.addEventListener("abort", aborted, { once: true });
    try {
      return await new Promise((resolve, reject) => {
        this.#settle = { resolve, reject };
        if (signal.aborted) aborted();
        else if (this.#stream.destroyed) this.#fail(this.#failure(this.#stream.errored ?? undefined));
        else this.#start();
      });
    } finally {
      signal.removeEventListener("abort", aborted);
    }
  }

  #start(): void {
    const client = this.#client;
    client.on("error", (error) => this.#failed(error));
    client.on("close", () => this.#closed());
    client.on("banner", (text) => this.#showBanner(text));
    client.once("ready", () => this.#ready());
    // Behind ssh2's request for the service, and what has come with the end of the key exchange: without waiting for the service, which spares a round trip.
    client.once("handshake", () => process.nextTick(() => this.#runAuth()));
    // A half-open connection is of no use to SSH, and a stream that came through another hop would stay so.
    this.#stream.once("end", () => this.#stream.destroy());
    this.#waitFor("host", "connecting to");
    try {
      this.#connect();
    } catch (error) {
      this.#fail(error);
    }
  }

  #connect(): void {
    const { user, hostKeys, keepaliveIntervalMs = 5_000, keepaliveCountMax = 3 } = this.#options;
    const algorithms = offeredAlgorithms(hostKeys.keyTypes(this.#place), this.#options.algorithms);
    this.#client.connect({
      // Its types name a Readable; any Duplex does, and their lists of algorithms lag behind the code.
      sock: this.#stream as never,
      algorithms: algorithms as never,
      username: user,
      ident: "farside",
      // A host that is not OpenSSH says itself what it can't do.
      strictVendor: false,
      hostVerifier: (shown: Buffer, answer: (isAccepted: boolean) => void) => {
        this.#verifyHostKey(shown, answer);
      },
      // ssh2 asks for a first method when the host is ready for the login; no answer means that it waits for us.
      authHandler: (() => this.#serviceGranted()) as never,
      readyTimeout: 0,
      keepaliveInterval: keepaliveIntervalMs,
      keepaliveCountMax,
    });
    enforceLimits(internalsOf(this.#client), this.#stream, (what) =>
      this.#broken(
        new CodedError("hop.lost", `the connection to ${this.#where} was ended: the host ${what}`, {
          leg: this.#options.leg,
        }),
      ),
    );
  }

  /** Called in every key exchange: the first one decides, later ones must show the same key. */
  #verifyHostKey(shown: Buffer, answer: (isAccepted: boolean) => void): void {
    const { leg, hostKeys } = this.#options;
    if (this.#serverHostKey !== undefined) {
      if (this.#serverHostKey.equals(shown)) answer(true);
      else this.#broken(changedMidway(shown, this.#where, leg));
      return;
    }
    this.#phase = "key exchange";
    const proof = this.#tap.proof;
    if (proof === undefined || !shown.equals(proof.hostKey)) {
      this.#failHandshake("an ambiguous key exchange");
      return;
    }
    this.#waitFor("operator", "checking the host key of");
    hostKeys.verify(shown, this.#place, { signal: this.#over.signal }).then(
      () => {
        if (this.#isOver) return;
        this.#waitFor("host", "connecting to");
        this.#serverHostKey = Buffer.from(shown);
        answer(true);
      },
      (error: unknown) => this.#fail(hostKeyFailure(error, leg, this.#tap.offer)),
    );
  }

  #serviceGranted(): undefined {
    if (this.#auth !== undefined) this.#phase = "login";
  }

  #runAuth(): void {
    const proof = this.#tap.proof;
    if (this.#isOver || proof === undefined || this.#auth !== undefined) return;
    this.#auth = new UserAuth({
      ...this.#options,
      protocol: internalsOf(this.#client)._protocol,
      where: this.#where,
      proof,
      signal: this.#over.signal,
      onWait: (waitsFor) => this.#waitFor(waitsFor, "logging in to"),
      onFailure: (error) => this.#fail(error),
    });
    this.#auth.run().catch((error: unknown) => this.#fail(error));
  }

  #ready(): void {
    if (this.#isOver) return;
    const serverHostKey = this.#serverHostKey;
    // ssh2 takes a yes at any time.
    if (serverHostKey === undefined || this.#auth === undefined) {
      this.#failHandshake("a yes to no login");
      return;
    }
    this.#phase = "connected";
    this.#end(new CodedError("canceled", "the login is over"));
    this.#settle?.resolve({
      client: this.#client,
      serverHostKey,
      handOver: (owner) => this.#owner.handOver(owner),
    });
  }

  #showBanner(text: string): void {
    if (this.#isOver) return;
    this.#bannerLength += text.length;
    if (this.#bannerLength > maxBanner) this.#failHandshake(`more than ${maxBanner} bytes of banners`);
    else if (this.#bannerLength <= maxShownBanner) this.#options.onBanner?.(harmlessLines(text));
  }

  #waitFor(waitsFor: WaitsFor, doing: string): void {
    if (this.#isOver) return;
    clearTimeout(this.#deadline);
    const {
      handshakeTimeoutMs = defaultHandshakeTimeoutMs,
      authenticationTimeoutMs = defaultAuthenticationTimeoutMs,
    } = this.#options;
    const ms = waitsFor === "host" ? handshakeTimeoutMs : authenticationTimeoutMs;
    this.#deadline = setTimeout(() => this.#fail(this.#tooLate(waitsFor, ms, doing)), ms);
  }

  #tooLate(waitsFor: WaitsFor, ms: number, doing: string): CodedError {
    const { leg } = this.#options;
    if (this.#phaseNow !== "identification")
      return new CodedError(
        "timeout",
        `${doing} ${this.#where}: nothing came from the ${waitsFor} within ${ms / 1000} s`,
        { leg },
      );
    return new CodedError(
      "hop.unreachable",
      `connecting to ${this.#where}: no SSH identification within ${ms / 1000} s`,
      {
        hint: "Something listens there, but it does not speak SSH, or is overloaded.",
        leg,
        data: { answered: true },
      },
    );
  }

  get #isOver(): boolean {
    return this.#over.signal.aborted;
  }

  get #phaseNow(): Phase {
    return this.#phase === "identification" && this.#tap.ident !== undefined ? "key exchange" : this.#phase;
  }

  /** ssh2's errors; a numeric code is a DISCONNECT, which in the login means no (MaxAuthTries). */
  #failed(error: Error): void {
    const isDisconnect = typeof (error as { code?: unknown }).code === "number";
    if (this.#phase === "login" && isDisconnect && this.#auth !== undefined)
      this.#fail(this.#auth.refusedBy(error.message));
    else this.#broken(this.#failure(error));
  }

  #closed(): void {
    this.#broken(this.#failure(undefined));
    this.#owner.closed();
  }

  /** What ends the connection, whether the login is over or not. */
  #broken(error: CodedError): void {
    if (this.#phase === "connected") this.#owner.failed(error);
    else this.#fail(error);
  }

  #failure(error: Error | undefined): CodedError {
    return connectionFailure(error, this.#phaseNow, this.#where, this.#options.leg, this.#tap);
  }

  #failHandshake(what: string): void {
    this.#fail(
      new CodedError("hop.handshake-failed", `connecting to ${this.#where}: the host sent ${what}`, {
        leg: this.#options.leg,
      }),
    );
  }

  #fail(error: unknown): void {
    if (this.#isOver) return;
    this.#end(error);
    this.#stream.destroy();
    this.#settle?.reject(error);
  }

  #end(reason: unknown): void {
    clearTimeout(this.#deadline);
    this.#tap.stop();
    this.#over.abort(reason);
  }
}

/** An alias is looked up by itself, whatever the port, as in ssh(1). */
function placeOf({ hostKeyAlias, host, port }: HopOptions): HostKeyPlace {
  return hostKeyAlias === undefined ? { host, port } : { host: hostKeyAlias, port: 22 };
}
