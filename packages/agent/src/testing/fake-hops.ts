import type { CodedError, HopDeclaration } from "@farside/protocol";
import type { Hop } from "@farside/ssh";
import { RoutePool } from "../forwarding/route-pool.ts";

/** Hops without a network: each connect is recorded, and answered by `answer`. */
export function fakeHops(answer: (hop: HopDeclaration) => Promise<void> = async () => {}) {
  const connects: string[] = [];
  const closes: string[] = [];
  const connected: string[] = [];
  const lost: string[] = [];
  const live: { name: string; drop: (error?: CodedError) => void }[] = [];
  const pool = new RoutePool({
    connect: async (declaration, previous, { admit }) => {
      await admit();
      const name = `${previous === undefined ? "" : `${previous.name}>`}${declaration.host}`;
      connects.push(name);
      await answer(declaration);
      let drop: (error?: CodedError) => void = () => {};
      const closed = new Promise<CodedError | undefined>((resolve) => {
        drop = resolve;
      });
      live.push({ name, drop });
      const close = async () => {
        closes.push(name);
        drop();
      };
      return { name, serverHostKey: Buffer.from("key"), closed, close } as unknown as Hop;
    },
    onConnected: ({ hopId }) => connected.push(hopId),
    onLost: ({ hopId }, error) => lost.push(`${hopId}: ${error.code}`),
  });
  return { pool, connects, closes, connected, lost, live };
}

/** A hop as it is declared. */
export function hop(host: string, changes: Partial<HopDeclaration> = {}): HopDeclaration {
  const key = Buffer.from(`key of ${host}`);
  return { hopId: `id-${host}`, user: "u", host, port: 22, hostKeys: [key], publicKeys: [key], ...changes };
}
