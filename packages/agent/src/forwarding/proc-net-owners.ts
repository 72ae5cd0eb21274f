import { type TcpTable, tcpEndpoint, visitTcpRows } from "./proc-net-tcp.ts";
import { ProcTable } from "./proc-table.ts";
import { type ConnectionAddresses, ownerFrom, type SocketOwner, type SocketOwners } from "./socket-owner.ts";

/** Looks for a missing row again: the kernel may leave a row out while others of its hash bucket go. */
const ATTEMPTS = 2;

interface Question {
  readonly addresses: ConnectionAddresses;
  readonly answer: (owner: SocketOwner) => void;
  attemptsLeft: number;
}

/** Reads a table in pieces of whole lines until `take` has enough. */
export type ReadTable = (
  table: TcpTable,
  take: (lines: Buffer) => boolean,
  options: { readonly toItsEnd: boolean },
) => Promise<void>;

/**
 * From /proc/net/tcp and tcp6, which every Linux has and which cost the kernel a walk through its whole hash table,
 * milliseconds, however few connections there are. One read serves all that wait. Never rejects.
 */
export class ProcNetOwners implements SocketOwners {
  readonly #files = { tcp: new ProcTable("/proc/net/tcp"), tcp6: new ProcTable("/proc/net/tcp6") };
  readonly #read: ReadTable;
  #waiting: Question[] = [];
  #isReading = false;

  constructor(read?: ReadTable) {
    this.#read = read ?? ((table, take, options) => this.#files[table].read(take, options));
  }

  ownerOf(addresses: ConnectionAddresses): Promise<SocketOwner> {
    return new Promise((answer) => {
      this.#waiting.push({ addresses, answer, attemptsLeft: ATTEMPTS });
      if (!this.#isReading) void this.#readAll();
    });
  }

  async close(): Promise<void> {
    await Promise.all([this.#files.tcp.close(), this.#files.tcp6.close()]);
  }

  async #readAll(): Promise<void> {
    this.#isReading = true;
    while (this.#waiting.length > 0) {
      const asked = this.#waiting;
      this.#waiting = [];
      let open = asked;
      for (const table of ["tcp", "tcp6"] as const) {
        if (open.length > 0) open = await this.#answerFrom(table, open);
      }
      for (const question of open) {
        question.attemptsLeft -= 1;
        if (question.attemptsLeft > 0) this.#waiting.push(question);
        else question.answer("missing");
      }
    }
    this.#isReading = false;
  }

  /** Answers what `table` can answer and returns the rest. */
  async #answerFrom(table: TcpTable, asked: readonly Question[]): Promise<Question[]> {
    const byKey = new Map<string, Question[]>();
    const rest: Question[] = [];
    for (const question of asked) {
      const key = clientKey(question.addresses, table);
      if (key === undefined) rest.push(question);
      // Two may have the same ends: one that was reset, and a new one that came by its addresses.
      else byKey.set(key, [...(byKey.get(key) ?? []), question]);
    }
    if (byKey.size === 0) return rest;
    const take = (lines: Buffer) => {
      visitTcpRows(lines, table, byKey, (row) => {
        const key = `${row.local} ${row.remote}`;
        for (const { answer } of byKey.get(key) ?? []) answer(ownerFrom(row));
        byKey.delete(key);
      });
      return byKey.size === 0;
    };
    const toItsEnd = asked.some(({ attemptsLeft }) => attemptsLeft < ATTEMPTS);
    await this.#read(table, take, { toItsEnd }).catch(() => undefined);
    return [...rest, ...[...byKey.values()].flat()];
  }
}

/** The client's row has our remote end as its local one. */
function clientKey(addresses: ConnectionAddresses, table: TcpTable): string | undefined {
  const local = tcpEndpoint(addresses.remoteAddress, addresses.remotePort, table);
  const remote = tcpEndpoint(addresses.localAddress, addresses.localPort, table);
  return local === undefined || remote === undefined ? undefined : `${local} ${remote}`;
}
