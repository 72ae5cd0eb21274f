import {
  deadline,
  type HopDeclaration,
  isCodedError,
  type Peer,
  readyIdentity,
  signWithIdentity,
} from "@farside/protocol";
import type { Identity, PublicKey, SignRequest } from "@farside/ssh";
import { WireReader } from "@farside/ssh/wire";

/** A card may want a touch, a PIN pad two minutes, a person a moment to find the card. */
const SIGN_TIMEOUT_MS = 300_000;
/** Nothing is held open meanwhile; then it is asked again. */
const READY_TIMEOUT_MS = 3_600_000;
/** Whether it is ready it says soon, also where others are before us, but where somebody has to bring the card or type the PIN. */
const READY_TOLD_AFTER_MS = 2_000;

/**
 * The workstation's identity, reached over the control channel: holds public keys only, and each signature is decided on
 * at the other end. Nothing on this host can ask it for one but the hop that it was made for. `onSigning` hears when it is waited for, and
 * when no more: for a signature, or for whoever makes it ready.
 */
export function delegatedIdentity(
  hop: HopDeclaration,
  peer: Pick<Peer, "request">,
  onSigning: (isWanted: boolean) => void = () => {},
): Identity {
  const keys = hop.publicKeys.map(publicKeyOf);
  const close = async () => {};
  /** Asks the workstation for `what`, and tells from `toldAfterMs` on that it is waited for. */
  const ask = async <Answer>(
    { what, withinMs, toldAfterMs = 0, signal }: Question,
    request: (options: { signal: AbortSignal }) => Promise<Answer>,
  ): Promise<Answer> => {
    const message = `waiting for the workstation's ${what} for ${hop.host} took too long`;
    const limit = deadline(withinMs, message, { leg: "hop", signal });
    const told = tellAfter(toldAfterMs, onSigning);
    try {
      return await request({ signal: limit.signal });
    } finally {
      limit.release();
      told.over();
    }
  };
  return {
    kind: "delegated",
    publicKeys: async () => keys,
    async ready({ signal }) {
      try {
        const question = { what: "identity", withinMs: READY_TIMEOUT_MS, toldAfterMs: READY_TOLD_AFTER_MS };
        await ask({ ...question, signal }, (options) =>
          peer.request(readyIdentity, { hopId: hop.hopId }, options),
        );
      } catch (error) {
        // A workstation that does not know the question signs as soon as it can.
        if (!isCodedError(error) || error.code !== "protocol.bad-message") throw error;
      }
    },
    async sign({ data, proof, signal }: SignRequest) {
      const params = { hopId: hop.hopId, data, hostKey: proof.hostKey, serverSignature: proof.signature };
      const { signature } = await ask({ what: "signature", withinMs: SIGN_TIMEOUT_MS, signal }, (options) =>
        peer.request(signWithIdentity, params, options),
      );
      return signature;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

interface Question {
  readonly what: string;
  readonly withinMs: number;
  readonly toldAfterMs?: number;
  readonly signal: AbortSignal | undefined;
}

function tellAfter(ms: number, onSigning: (isWanted: boolean) => void): { over(): void } {
  let isTold = ms === 0;
  if (isTold) onSigning(true);
  const tell = () => {
    isTold = true;
    onSigning(true);
  };
  const timer = isTold ? undefined : setTimeout(tell, ms);
  return {
    over() {
      clearTimeout(timer);
      if (isTold) onSigning(false);
    },
  };
}

function publicKeyOf(blob: Uint8Array): PublicKey {
  return { type: new WireReader(blob).name(), blob, comment: "" };
}
