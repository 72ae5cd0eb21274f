import { TCP_STATE, type TcpTable, tcpEndpoint, visitTcpRows } from "./proc-net-tcp.ts";
import { readProcFile } from "./read-proc-file.ts";

/** An accepted connection, as our side of it sees it. */
export interface ConnectionAddresses {
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
}

/** Looks for a missing row again: the kernel may leave a row out while others of its hash bucket go. */
const ATTEMPTS = 2;

/** States in which a client's socket still belongs to the client: connected, or closed for writing only. */
const OWNED_STATES: ReadonlySet<number> = new Set([
  TCP_STATE.established,
  TCP_STATE.finWait1,
  TCP_STATE.finWait2,
]);

interface Question {
  readonly addresses: ConnectionAddresses;
  readonly answer: (uid: number | undefined) => void;
  attemptsLeft: number;
}

/**
 * Says whose a local TCP connection is, from /proc/net/tcp and tcp6. A table is read only after a connection was
 * accepted, and one read serves all that wait (5,000 rows take some 14 ms).
 */
export class PeerUidLookup {
  readonly #readTable: (table: TcpTable) => Promise<Buffer>;
  #waiting: Question[] = [];
  #isReading = false;

  constructor(
    readTable: (table: TcpTable) => Promise<Buffer> = (table) => readProcFile(`/proc/net/${table}`),
  ) {
    this.#readTable = readTable;
  }

  /**
   * The uid that holds the client's socket; undefined where there is no row, no table, or where the client has closed
   * its socket already (its row then says uid 0, inode 0). Never rejects.
   */
  uidOf(addresses: ConnectionAddresses): Promise<number | undefined> {
    return new Promise((answer) => {
      this.#waiting.push({ addresses, answer, attemptsLeft: ATTEMPTS });
      if (!this.#isReading) void this.#readAll();
    });
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
        else question.answer(undefined);
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
    const bytes = await this.#readTable(table).catch(() => Buffer.alloc(0));
    visitTcpRows(bytes, table, byKey, (row) => {
      const key = `${row.local} ${row.remote}`;
      const isOwned = row.inode !== 0 && OWNED_STATES.has(row.state);
      for (const { answer } of byKey.get(key) ?? []) answer(isOwned ? row.uid : undefined);
      byKey.delete(key);
    });
    return [...rest, ...[...byKey.values()].flat()];
  }
}

/** The client's row has our remote end as its local one. */
function clientKey(addresses: ConnectionAddresses, table: TcpTable): string | undefined {
  const local = tcpEndpoint(addresses.remoteAddress, addresses.remotePort, table);
  const remote = tcpEndpoint(addresses.localAddress, addresses.localPort, table);
  return local === undefined || remote === undefined ? undefined : `${local} ${remote}`;
}
