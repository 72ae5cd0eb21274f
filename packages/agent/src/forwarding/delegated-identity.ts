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

/**
 * The workstation's identity, reached over the control channel: holds public keys only, and each signature is decided on
 * at the other end. Nothing on this host can ask it for one but the hop that it was made for.
 */
export function delegatedIdentity(
  hop: HopDeclaration,
  peer: Pick<Peer, "request">,
  onSigning: (isWanted: boolean) => void = () => {},
): Identity {
  const keys = hop.publicKeys.map(publicKeyOf);
  const close = async () => {};
  return {
    kind: "delegated",
    publicKeys: async () => keys,
    async ready({ signal }) {
      const limit = deadline(
        READY_TIMEOUT_MS,
        `waiting for the workstation's identity for ${hop.host} took too long`,
        {
          leg: "hop",
          signal,
        },
      );
      onSigning(true);
      try {
        await peer.request(readyIdentity, { hopId: hop.hopId }, { signal: limit.signal });
      } catch (error) {
        // A workstation that does not know the question signs as soon as it can.
        if (!isCodedError(error) || error.code !== "protocol.bad-message") throw error;
      } finally {
        limit.release();
        onSigning(false);
      }
    },
    async sign({ data, proof, signal }: SignRequest) {
      const limit = deadline(
        SIGN_TIMEOUT_MS,
        `waiting for the workstation's signature for ${hop.host} took too long`,
        {
          leg: "hop",
          signal,
        },
      );
      onSigning(true);
      try {
        const params = { hopId: hop.hopId, data, hostKey: proof.hostKey, serverSignature: proof.signature };
        const { signature } = await peer.request(signWithIdentity, params, { signal: limit.signal });
        return signature;
      } finally {
        limit.release();
        onSigning(false);
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function publicKeyOf(blob: Uint8Array): PublicKey {
  return { type: new WireReader(blob).name(), blob, comment: "" };
}
