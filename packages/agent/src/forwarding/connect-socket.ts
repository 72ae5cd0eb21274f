import net from "node:net";
import { pooledSocketOptions, type RelayEnd } from "./relay-end.ts";

/** A connected, paused socket as a relay end; rejects with the socket's error or the signal's reason, having released it. */
export function connectSocket(address: net.NetConnectOpts, signal: AbortSignal): Promise<RelayEnd> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const { reader, options } = pooledSocketOptions();
    const socket = net.connect({ ...address, ...options });
    // Or it would read as soon as it is connected, before there is anybody to read for.
    socket.pause();
    const settle = () => {
      signal.removeEventListener("abort", abort);
      socket.off("connect", connected);
      socket.off("error", failed);
    };
    const connected = () => {
      settle();
      // Between here and the relay an error must not end the process; the relay sees the closed stream.
      socket.on("error", () => {});
      resolve({ stream: socket, reader });
    };
    const failed = (error: unknown) => {
      settle();
      socket.on("error", () => {});
      socket.destroy();
      reject(error);
    };
    const abort = () => failed(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    socket.on("connect", connected);
    socket.on("error", failed);
  });
}
