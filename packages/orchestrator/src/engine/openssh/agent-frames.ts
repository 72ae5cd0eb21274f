/** As in OpenSSH. */
const MAX_MESSAGE_BYTES = 256 * 1024;

/** Cuts a stream of ssh-agent messages (a uint32 with the length, then the body) into bodies. Holds at most one message. */
export class AgentFrames {
  #pending: Buffer = Buffer.alloc(0);

  /** The bodies that are complete now; copies. Throws `RangeError` for one that is empty or too long. */
  push(chunk: Uint8Array): Buffer[] {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    const bodies: Buffer[] = [];
    while (this.#pending.length >= 4) {
      const length = this.#pending.readUInt32BE();
      if (length === 0 || length > MAX_MESSAGE_BYTES) throw new RangeError(`a message of ${length} bytes`);
      if (this.#pending.length < 4 + length) break;
      bodies.push(Buffer.from(this.#pending.subarray(4, 4 + length)));
      this.#pending = this.#pending.subarray(4 + length);
    }
    return bodies;
  }
}
