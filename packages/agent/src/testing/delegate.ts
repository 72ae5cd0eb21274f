import {
  type CodedError,
  type Peer,
  readyIdentity,
  type SignParams,
  signWithIdentity,
} from "@farside/protocol";
import { KeyFileIdentity, parseUserauthRequest } from "@farside/ssh";

/** The workstation's end of the control channel, as far as hops need it: signs with a key file and counts. */
export interface Delegate extends AsyncDisposable {
  readonly peer: Pick<Peer, "request">;
  readonly asked: SignParams[];
  /** Hops that the identity was to be ready for. */
  readonly readied: string[];
  /** What `identity.ready` answers; default: at once. */
  ready(): Promise<void>;
  /** What `identity.sign` answers. */
  sign(params: SignParams): Promise<Uint8Array>;
  /** Set it to refuse every signature. */
  refusal: CodedError | undefined;
}

export async function delegateTo(keyFile: string): Promise<Delegate> {
  const identity = await KeyFileIdentity.open({ files: [keyFile] });
  const [publicKey] = await identity.publicKeys();
  if (publicKey === undefined) throw new Error(`no key in ${keyFile}`);
  const asked: SignParams[] = [];
  const delegate: Delegate = {
    asked,
    readied: [],
    ready: async () => {},
    refusal: undefined,
    async sign(params) {
      asked.push(params);
      if (delegate.refusal !== undefined) throw delegate.refusal;
      const { algorithm } = parseUserauthRequest(params.data);
      const proof = { hostKey: params.hostKey, signature: params.serverSignature };
      return identity.sign({ publicKey, algorithm, data: params.data, proof });
    },
    peer: {
      request: (async (definition: { name: string }, params: SignParams) => {
        if (definition.name === readyIdentity.name) {
          delegate.readied.push(params.hopId);
          await delegate.ready();
          return {};
        }
        if (definition.name !== signWithIdentity.name) throw new Error(`unexpected ${definition.name}`);
        return { signature: await delegate.sign(params) };
      }) as Peer["request"],
    },
    [Symbol.asyncDispose]: () => identity.close(),
  };
  return delegate;
}
