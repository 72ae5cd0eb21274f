import { connect, type Socket, type TcpNetConnectOpts } from "node:net";

/** How long one of several addresses of a host may take before the next one is tried too, in ms. */
const addressTimeoutMs = 1_000;

/** A connected TCP socket; rejects with the socket's error, or with the signal's reason. */
export function dialTcp(
  host: string,
  port: number,
  signal: AbortSignal,
  options: {
    family?: 4 | 6 | undefined;
    localAddress?: string | undefined;
    /** Default: `net.connect`. */
    connect?: ((options: TcpNetConnectOpts) => Socket) | undefined;
  } = {},
): Promise<Socket> {
  const { family, localAddress } = options;
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const socket = (options.connect ?? connect)({
      host,
      port,
      noDelay: true,
      ...(family === undefined ? { autoSelectFamily: true } : { family }),
      ...(localAddress === undefined ? {} : { localAddress }),
      autoSelectFamilyAttemptTimeout: addressTimeoutMs,
    });
    const settle = () => {
      signal.removeEventListener("abort", abort);
      socket.off("connect", connected).off("error", failed);
    };
    const connected = () => {
      settle();
      // Nobody listens before the caller does, and an error without a listener would end the process.
      socket.on("error", () => {});
      resolve(socket);
    };
    const failed = (error: Error) => {
      settle();
      socket.destroy();
      reject(error);
    };
    const abort = () => failed(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    socket.once("connect", connected).on("error", failed);
  });
}
