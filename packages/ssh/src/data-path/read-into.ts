import { type OnReadOpts, Socket, type SocketConstructorOpts } from "node:net";

/** Where Node.js keeps what the option `onread` says: undocumented, the same from 18 to 26. */
interface Places {
  readonly buffer: symbol;
  readonly nextBuffer: symbol;
  readonly callback: symbol;
}

interface Handle {
  useUserBuffer?: unknown;
}
type Internals = { [place: symbol]: unknown } & { _handle?: Handle | null };

/** Found by what a socket has that was made with the option, and one without has not. */
function findPlaces(): Places | undefined {
  const onread = { buffer: () => Buffer.alloc(1), callback: () => true };
  const made = new Socket({ onread } as SocketConstructorOpts) as unknown as Internals;
  const plain = new Socket() as unknown as Internals;
  const holding = (value: unknown): symbol | undefined => {
    const found = Object.getOwnPropertySymbols(made).filter(
      (place) => made[place] === value && plain[place] === null,
    );
    return found.length === 1 ? found[0] : undefined;
  };
  // Until there is a handle, `true` stands for a buffer.
  const [buffer, nextBuffer, callback] = [true, onread.buffer, onread.callback].map(holding);
  if (buffer === undefined || nextBuffer === undefined || callback === undefined) return undefined;
  return { buffer, nextBuffer, callback };
}

let places: Places | undefined | "unknown" = "unknown";

/**
 * Lets `socket`, which was accepted, is paused and was never read, read as if it had been made with the option `onread`,
 * which accepted sockets can't have. False where that can't be had; then nothing was changed.
 */
export function readInto(socket: Socket, onread: OnReadOpts & { buffer: () => Uint8Array }): boolean {
  if (places === "unknown") places = findPlaces();
  const inner = socket as unknown as Internals;
  const handle = inner._handle;
  const isFresh = !socket.destroyed && socket.readableLength === 0 && socket.writableLength === 0;
  if (places === undefined || !isFresh || socket.readableEnded || socket.listenerCount("data") > 0)
    return false;
  if (typeof handle?.useUserBuffer !== "function" || inner[places.buffer] !== null) return false;
  const first = onread.buffer();
  try {
    handle.useUserBuffer(first);
  } catch {
    return false;
  }
  inner[places.nextBuffer] = onread.buffer;
  inner[places.callback] = onread.callback;
  inner[places.buffer] = first;
  return true;
}
