import type { Identity } from "@farside/ssh";

/**
 * An identity that is still being opened, so that a card's module is loaded while the jump host is dialled: whoever asks for
 * keys or a signature waits for it, and gets its failure. Takes it over; closing calls the opening off.
 */
export function openingIdentity(
  kind: Identity["kind"],
  open: (signal: AbortSignal) => Promise<Identity>,
): Identity {
  const calledOff = new AbortController();
  const opening = open(calledOff.signal);
  // Whoever asks hears of a failure; where nobody does, it has no meaning.
  opening.catch(() => undefined);
  const close = async (): Promise<void> => {
    calledOff.abort();
    const identity = await opening.catch(() => undefined);
    await identity?.close();
  };
  return {
    kind,
    publicKeys: async (options) => (await opening).publicKeys(options),
    ready: async (options) => (await opening).ready(options),
    sign: async (request) => (await opening).sign(request),
    close,
    [Symbol.asyncDispose]: close,
  };
}
