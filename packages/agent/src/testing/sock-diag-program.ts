import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { ConnectionAddresses, SocketOwner, SocketOwners } from "../forwarding/socket-owner.ts";
import { withSockDiag } from "./with-sock-diag.ts";

const PROGRAM = fileURLToPath(new URL("answer-owners.ts", import.meta.url));

/** `SockDiagSocket` in a process of its own, for only a process that was started with the socket has it. */
export class SockDiagProgram implements SocketOwners {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #waiting: ((owner: SocketOwner) => void)[] = [];

  constructor() {
    const command = [process.execPath, "--conditions=@farside/source", "--import", "tsx", PROGRAM];
    const [file = "", ...args] = withSockDiag(command);
    this.#child = spawn(file, args, { stdio: ["pipe", "pipe", "inherit"] });
    createInterface({ input: this.#child.stdout }).on("line", (line) =>
      this.#waiting.shift()?.(JSON.parse(line)),
    );
  }

  ownerOf(addresses: ConnectionAddresses): Promise<SocketOwner> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#child.stdin.write(`${JSON.stringify(addresses)}\n`);
    });
  }

  async close(): Promise<void> {
    this.#child.stdin.end();
    await once(this.#child, "exit");
  }
}
