import type { Duplex } from "node:stream";
import { CodedError } from "@farside/protocol";
import { Client } from "ssh2";
import { offeredAlgorithms } from "./algorithms.ts";
import { connectionFailure, type Phase } from "./errors-of-ssh2.ts";
import { fingerprint } from "./fingerprint.ts";
import { harmlessLines } from "./harmless-lines.ts";
import type { HopOptions } from "./hop-options.ts";
import type { HostKeyPlace } from "./host-key.ts";
import { KexTap } from "./kex-tap.ts";
import { enforceWindows, internalsOf } from "./ssh2-internals.ts";
import { UserAuth, type WaitsFor } from "./user-auth.ts";

const defaults = { handshakeTimeoutMs: 20_000, authenticationTimeoutMs: 600_000 } as const;
/** Bytes of banner that are shown, and that are tolerated. */
const shownBannerBytes = 8 * 1024;
const maxBannerBytes = 64 * 1024;

/** An authenticated client on which nothing was opened yet. */
export interface Login {
  readonly client: Client;
  readonly serverHostKey: Uint8Array;
  /** Tells the owner why the connection ends when the host breaks the protocol; set it at once. */
  onViolation: (error: CodedError) => void;
}

/**
 * From a connected stream to an authenticated ssh2 client: identification, key exchange, host key, user. Takes over
 * `stream` and destroys it on every failure; nothing is left running when it rejects.
 */
export function logIn(
  stream: Duplex,
  options: HopOptions,
  where: string,
  signal: AbortSignal,
): Promise<Login> {
  return new Promise((resolve, reject) => {
    const { leg, user, hostKeys } = options;
    const place = placeOf(options);
    const inner = new AbortController();
    const client = new Client();
    let phase: Phase = "identification";
    let deadline: NodeJS.Timeout | undefined;
    let serverHostKey: Buffer | undefined;
    let auth: UserAuth | undefined;
    let isSettled = false;

    const fail = (error: unknown) => {
      if (isSettled) return;
      settle();
      inner.abort(error);
      stream.destroy();
      reject(error);
    };
    const settle = () => {
      isSettled = true;
      clearTimeout(deadline);
      signal.removeEventListener("abort", aborted);
      tap.stop();
    };
    const aborted = () => fail(signal.reason);
    const failHandshake = (what: string) =>
      fail(new CodedError("hop.handshake-failed", `connecting to ${where}: the host sent ${what}`, { leg }));
    const waitFor = (waitsFor: WaitsFor, doing: string) => {
      clearTimeout(deadline);
      const ms =
        waitsFor === "host"
          ? (options.handshakeTimeoutMs ?? defaults.handshakeTimeoutMs)
          : (options.authenticationTimeoutMs ?? defaults.authenticationTimeoutMs);
      deadline = setTimeout(() => fail(tooLate(waitsFor, ms, doing)), ms);
    };
    const tooLate = (waitsFor: WaitsFor, ms: number, doing: string) => {
      const silence = `nothing came from the ${waitsFor} within ${ms / 1000} s`;
      if (phaseNow() === "identification")
        return new CodedError(
          "hop.unreachable",
          `connecting to ${where}: no SSH identification within ${ms / 1000} s`,
          {
            hint: "Something listens there, but it does not speak SSH, or is overloaded.",
            leg,
          },
        );
      return new CodedError("timeout", `${doing} ${where}: ${silence}`, { leg });
    };

    stream.pause();
    const tap = new KexTap(stream, failHandshake);
    signal.addEventListener("abort", aborted, { once: true });
    if (signal.aborted) return aborted();
    waitFor("host", "connecting to");

    const phaseNow = (): Phase =>
      phase === "identification" && tap.ident !== undefined ? "key exchange" : phase;
    client.on("error", (error) => {
      const isDisconnect = typeof (error as { code?: unknown }).code === "number";
      if (phase === "login" && isDisconnect && auth !== undefined) fail(auth.refusedBy(error.message));
      else fail(connectionFailure(error, phaseNow(), where, leg, tap));
    });
    client.on("close", () => fail(connectionFailure(undefined, phaseNow(), where, leg, tap)));
    client.once("ready", () => {
      if (isSettled) return;
      if (serverHostKey === undefined) return failHandshake("a login before a key exchange");
      phase = "connected";
      settle();
      client.removeAllListeners("close");
      resolve(login);
    });

    let bannerBytes = 0;
    client.on("banner", (text) => {
      bannerBytes += text.length;
      if (bannerBytes > maxBannerBytes) return failHandshake(`more than ${maxBannerBytes} bytes of banners`);
      if (bannerBytes <= shownBannerBytes) options.onBanner?.(harmlessLines(text));
    });

    /** Called in every key exchange: the first one decides, later ones must show the same key. */
    const verifyHostKey = (shown: Buffer, answer: (isAccepted: boolean) => void) => {
      if (serverHostKey !== undefined) {
        if (serverHostKey.equals(shown)) answer(true);
        else login.onViolation(changedMidway(shown, where, leg));
        return;
      }
      const proof = tap.proof;
      phase = "key exchange";
      if (proof === undefined || !shown.equals(proof.hostKey))
        return failHandshake("an ambiguous key exchange");
      waitFor("operator", "checking the host key of");
      hostKeys.verify(shown, place, { signal: inner.signal }).then(
        () => {
          if (isSettled) return;
          waitFor("host", "connecting to");
          serverHostKey = Buffer.from(shown);
          answer(true);
        },
        (error: unknown) => fail(withLeg(error, leg)),
      );
    };
    const startLogin = () => {
      const proof = tap.proof;
      if (isSettled || proof === undefined) return;
      phase = "login";
      auth = new UserAuth({
        ...options,
        protocol: internals._protocol,
        where,
        proof,
        signal: inner.signal,
        onWait: (waitsFor) => waitFor(waitsFor, "logging in to"),
        onFailure: fail,
      });
      auth.run().catch(fail);
    };

    client.connect({
      sock: stream as never,
      username: user,
      ident: "farside",
      algorithms: offeredAlgorithms(hostKeys.keyTypes(place), options.algorithms) as never,
      hostVerifier: verifyHostKey,
      // ssh2 asks for a first method when the host is ready for the login; no method from here means it waits for us.
      authHandler: startLogin as never,
      readyTimeout: 0,
      keepaliveInterval: options.keepaliveIntervalMs ?? 5_000,
      keepaliveCountMax: options.keepaliveCountMax ?? 3,
    });
    const internals = internalsOf(client);
    const login: Login = {
      client,
      get serverHostKey() {
        return serverHostKey ?? Buffer.alloc(0);
      },
      onViolation: fail,
    };
    enforceWindows(internals, () =>
      login.onViolation(
        new CodedError(
          "hop.lost",
          `the connection to ${where} was ended: the host overran a channel's window`,
          {
            leg,
          },
        ),
      ),
    );
  });
}

function changedMidway(shown: Buffer, where: string, leg: "jump" | "hop"): CodedError {
  return new CodedError(
    "host-key.changed",
    `the connection to ${where} was ended: in a later key exchange the host showed another key, ${fingerprint(shown)}`,
    { leg, data: { fingerprint: fingerprint(shown) } },
  );
}

/** Verifiers don't know which leg they work for. */
function withLeg(error: unknown, leg: "jump" | "hop"): unknown {
  if (!(error instanceof CodedError) || error.leg !== undefined) return error;
  const { code, message, hint, data } = error;
  return new CodedError(code, message, { hint, leg, data, cause: error });
}

/** An alias is looked up by itself, whatever the port, as in ssh(1). */
function placeOf({ hostKeyAlias, host, port }: HopOptions): HostKeyPlace {
  return hostKeyAlias === undefined ? { host, port } : { host: hostKeyAlias, port: 22 };
}
