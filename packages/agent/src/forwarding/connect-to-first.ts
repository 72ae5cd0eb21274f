import { type Connecting, type ConnectingEvents, startConnecting } from "./connect-socket.ts";

/** Head start of an address before the next one is tried as well (RFC 8305, 5). */
const NEXT_ADDRESS_DELAY_MS = 250;

/**
 * Starts to connect to the first of `addresses` that answers; the others are given up. When all fail, the error is the
 * first address's.
 */
export function startConnectingToFirst(
  addresses: readonly string[],
  port: number,
  { onConnected, onFailed }: ConnectingEvents,
): Connecting {
  const attempts: Connecting[] = [];
  const errors: Error[] = [];
  let failed = 0;
  let timer: NodeJS.Timeout | undefined;
  let isSettled = false;
  const abandon = () => {
    isSettled = true;
    clearTimeout(timer);
    for (const attempt of attempts) attempt.abandon();
  };
  const tryNext = () => {
    clearTimeout(timer);
    const index = attempts.length;
    const address = addresses[index];
    if (isSettled || address === undefined) return;
    const attempt = startConnecting(
      { host: address, port },
      {
        onConnected: (end) => {
          abandon();
          onConnected(end);
        },
        onFailed: (error) => {
          errors[index] = error;
          failed += 1;
          if (failed < addresses.length) {
            tryNext();
            return;
          }
          isSettled = true;
          onFailed(errors.find((each) => each !== undefined) ?? error);
        },
      },
    );
    attempts.push(attempt);
    if (attempts.length < addresses.length) timer = setTimeout(tryNext, NEXT_ADDRESS_DELAY_MS);
  };
  tryNext();
  return { abandon };
}
