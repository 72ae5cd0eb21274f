import type { FuzzTarget } from "@farside/protocol/testing";
import { tcpEndpoint, visitTcpRows } from "../forwarding/proc-net-tcp.ts";
import { ANSWER_BYTES, decodeAnswer, encodeQuestion } from "../forwarding/sock-diag-message.ts";

const addresses = {
  localAddress: "127.0.0.1",
  localPort: 4444,
  remoteAddress: "127.0.0.1",
  remotePort: 50_000,
};
const question = encodeQuestion(addresses, 7) as Buffer;
const header =
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
const ends = `${tcpEndpoint("127.0.0.1", 50_000, "tcp")} ${tcpEndpoint("127.0.0.1", 4444, "tcp")}`;
const row = `   1: ${ends} 01 00000000:00000000 00:00000000 00000000  1500        0 4711 1 0 20 4 30 10 -1\n`;

/** A good answer: the question's ends, owned by uid 1500. */
function goodAnswer(): Buffer {
  const answer = Buffer.alloc(ANSWER_BYTES);
  answer.writeUInt32LE(ANSWER_BYTES, 0);
  answer.writeUInt16LE(20, 4);
  answer.writeUInt32LE(7, 8);
  answer[16] = 2;
  answer[17] = 1;
  question.copy(answer, 20, 24, 60);
  answer.writeUInt32LE(1500, 80);
  answer.writeUInt32LE(4711, 84);
  return answer;
}

/** Decoders of what the kernel and the helper say of connections; for `fuzz`. */
export const fuzzTargets: readonly FuzzTarget[] = [
  {
    name: "/proc/net/tcp",
    seeds: [Buffer.from(header + row), Buffer.from(row.repeat(3))],
    words: [ends, "01", " 0 ", "\n", ":"],
    run(input) {
      visitTcpRows(input, "tcp", undefined, ({ uid, inode, state }) => {
        if (![uid, inode, state].every(Number.isSafeInteger)) throw new Error("a row that is none");
      });
    },
  },
  {
    name: "sock_diag",
    seeds: [goodAnswer()],
    longest: ANSWER_BYTES,
    run(input) {
      const answer = Buffer.concat([input, Buffer.alloc(ANSWER_BYTES)]).subarray(0, ANSWER_BYTES);
      let owner: unknown;
      try {
        owner = decodeAnswer(question, answer);
      } catch (error) {
        if (error instanceof RangeError || error instanceof TypeError) throw error;
        return;
      }
      // An IPv6 socket with mapped addresses has them elsewhere.
      const isPlain = answer[16] === question[16];
      if (typeof owner !== "number" || !isPlain) return;
      if (!answer.subarray(20, 56).equals(question.subarray(24, 60)))
        throw new Error("an answer about others");
    },
  },
];
