import { createCipheriv, createHash } from "node:crypto";
import type { Socket } from "node:net";

const pieceBytes = 256 * 1024;

/** Sends `total` bytes that never repeat and resolves with their SHA-256; the sending side is ended. */
export function sendRandom(socket: Socket, total: number, seed: number): Promise<string> {
  return ignorable(send(socket, total, seed));
}

/** `promise`, whose rejection may stay unseen where a test has failed already. */
function ignorable<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

async function send(socket: Socket, total: number, seed: number): Promise<string> {
  const stream = createCipheriv("aes-128-ctr", Buffer.alloc(16, seed), Buffer.alloc(16));
  const zeros = Buffer.alloc(pieceBytes);
  const hash = createHash("sha256");
  for (let left = total; left > 0; left -= pieceBytes) {
    const piece = stream.update(left < pieceBytes ? zeros.subarray(0, left) : zeros);
    hash.update(piece);
    if (!socket.write(piece)) await drained(socket);
  }
  socket.end();
  return hash.digest("hex");
}

/** Reads to the end and resolves with the SHA-256 and the number of what came; rejects when the socket breaks. */
export function receive(socket: Socket): Promise<{ digest: string; bytes: number }> {
  const received = new Promise<{ digest: string; bytes: number }>((resolve, reject) => {
    const hash = createHash("sha256");
    let bytes = 0;
    socket.on("data", (chunk: Buffer) => {
      hash.update(chunk);
      bytes += chunk.length;
    });
    socket.on("end", () => {
      const result = { digest: hash.digest("hex"), bytes };
      if (!socket.writable) resolve(result);
      // libuv may take a reset for an end; writing nothing tells them apart.
      else socket.write(Buffer.alloc(0), (error) => (error ? reject(error) : resolve(result)));
    });
    socket.on("error", reject);
    socket.on("close", () => reject(new Error(`closed after ${bytes} bytes`)));
  });
  return ignorable(received);
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      socket.off("drain", onDrain).off("close", onClose);
    };
    const onDrain = () => {
      settle();
      resolve();
    };
    const onClose = () => {
      settle();
      reject(new Error("closed while sending"));
    };
    socket.on("drain", onDrain).on("close", onClose);
  });
}
