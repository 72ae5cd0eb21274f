import { closeSync, readFileSync, readlinkSync, readSync, writeSync } from "node:fs";
import { ANSWER_BYTES, decodeAnswer, encodeQuestion } from "./sock-diag-message.ts";
import type { ConnectionAddresses, SocketOwner, SocketOwners } from "./socket-owner.ts";

/** In the environment of an agent whose bootstrap could open one: the descriptor of a NETLINK_SOCK_DIAG socket. */
const SOCKET_VARIABLE = "FARSIDE_SOCK_DIAG";
const NETLINK_SOCK_DIAG = "4";
/** Far more than an answer has. */
const RECEIVE_BYTES = 8192;

/** Takes the descriptor that the bootstrap left out of `environment`, so that no command of the agent's inherits its name. */
export function takeSockDiagDescriptor(environment: NodeJS.ProcessEnv): number | undefined {
  const text = environment[SOCKET_VARIABLE];
  delete environment[SOCKET_VARIABLE];
  return text !== undefined && /^[1-9]\d{0,5}$/.test(text) ? Number(text) : undefined;
}

/**
 * From the kernel's NETLINK_SOCK_DIAG, over a socket that this process was started with (Node can't make one): two system
 * calls, some microseconds, and the answer is there. The kernel answers within the call that asks, and nobody but it and
 * who may configure the network can send to such a socket. After the first failure of any kind everything is refused.
 */
export class SockDiagSocket implements SocketOwners {
  readonly #received = Buffer.alloc(RECEIVE_BYTES);
  #descriptor: number | undefined;
  #sequence = 0;

  /** Owns `descriptor` where it is such a socket; else throws, and leaves it alone: it is somebody else's. */
  constructor(descriptor: number) {
    const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${descriptor}`))?.[1];
    const rows = readFileSync("/proc/self/net/netlink", "latin1").split("\n");
    const isSockDiag = rows.some((row) => {
      const columns = row.trim().split(/\s+/);
      return columns[1] === NETLINK_SOCK_DIAG && columns.at(-1) === inode;
    });
    if (!isSockDiag) throw new Error(`descriptor ${descriptor} is no sock_diag socket`);
    this.#descriptor = descriptor;
  }

  /** Throws where it can't answer, now and ever after. */
  ownerOf(addresses: ConnectionAddresses): SocketOwner {
    if (this.#descriptor === undefined) throw new Error("closed");
    this.#sequence = (this.#sequence + 1) >>> 0;
    const question = encodeQuestion(addresses, this.#sequence);
    if (question === undefined) return "missing";
    try {
      writeSync(this.#descriptor, question);
      const bytes = readSync(this.#descriptor, this.#received);
      // What a shorter answer leaves out counts as zeros.
      this.#received.fill(0, bytes, ANSWER_BYTES);
      return decodeAnswer(question, this.#received.subarray(0, ANSWER_BYTES));
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#release();
  }

  #release(): void {
    if (this.#descriptor === undefined) return;
    const descriptor = this.#descriptor;
    this.#descriptor = undefined;
    closeSync(descriptor);
  }
}
