import { openEnvelope } from "../envelope.ts";
import { isCodedError } from "../errors.ts";
import { decodeBody, encodeFrame, FrameDecoder } from "../frame.ts";
import { receive } from "../handlers.ts";
import { harmless } from "../harmless.ts";
import type { WireValue } from "../message-stream.ts";
import * as messages from "../messages.ts";
import { encodePreamble, PreambleScanner } from "../preamble.ts";
import { comparable } from "./arbitrary.ts";
import { frozenMessages } from "./frames-v1/messages.ts";
import type { FuzzTarget } from "./fuzz/index.ts";

const NONCE = "0123456789abcdef0123456789abcdef";

/** Runs `decode`; its one allowed failure is `code`. Undefined where it failed so. */
function allowing<T>(code: string, decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (isCodedError(error) && error.code === code && !/[\p{Cc}\p{Cf}]/u.test(error.message))
      return undefined;
    throw error;
  }
}

function same(left: unknown, right: unknown, what: string): void {
  if (JSON.stringify(left) !== JSON.stringify(right)) throw new Error(`${what} differ`);
}

/** What `chunks` decode to, up to the first failure. */
function messagesIn(chunks: readonly Uint8Array[]): WireValue[] {
  const decoder = new FrameDecoder();
  const found: WireValue[] = [];
  allowing("protocol.bad-message", () => {
    for (const chunk of chunks) for (const message of decoder.push(chunk)) found.push(comparable(message));
    decoder.end();
  });
  if (decoder.buffered > 1024 * 1024 + 4) throw new Error("it keeps more than one frame");
  return found;
}

const definitions = Object.values(messages).filter(
  (each): each is Extract<typeof each, { readonly kind: "event" | "request" }> =>
    typeof each === "object" && "kind" in each && (each.kind === "event" || each.kind === "request"),
);
const frozen = Object.values(frozenMessages).map((message) => encodeFrame(message as WireValue));

/** Decoders of what comes from the other side; for `fuzz`. */
export const fuzzTargets: readonly FuzzTarget[] = [
  {
    name: "frames",
    seeds: [...frozen, Buffer.concat(frozen.slice(0, 3))],
    run(input) {
      const whole = messagesIn([input]);
      const at = input.length === 0 ? 0 : (input[0] ?? 0) % input.length;
      same(messagesIn([input.subarray(0, at), input.subarray(at)]), whole, "the messages of a split");
      for (const message of whole)
        same(messagesIn([encodeFrame(message)]), [message], "a message and its copy");
    },
  },
  {
    name: "messages",
    seeds: frozen.map((frame) => frame.subarray(4)),
    words: definitions.map(({ name }) => name),
    run(input) {
      allowing("protocol.bad-message", () => {
        const envelope = openEnvelope(decodeBody(input));
        for (const definition of definitions) {
          if (!("name" in envelope) || envelope.name !== definition.name) continue;
          if (envelope.kind === "event" && definition.kind === "event")
            receive(definition.data, envelope.data, "data");
          if (envelope.kind === "request" && definition.kind === "request") {
            receive(definition.params, envelope.params, "params");
          }
        }
      });
    },
  },
  {
    name: "preamble",
    seeds: [
      encodePreamble(NONCE, "agent"),
      Buffer.concat([Buffer.from("Welcome\r\n"), encodePreamble(NONCE, "x y")]),
    ],
    words: ["farside-preamble:", NONCE, ":", "\n", "\r"],
    run(input) {
      const find = (chunks: readonly Buffer[]) =>
        allowing("protocol.no-preamble", () => {
          const scanner = new PreambleScanner(NONCE);
          for (const [index, chunk] of chunks.entries()) {
            const found = scanner.push(chunk);
            if (found === undefined) continue;
            const rest = Buffer.concat([found.rest, ...chunks.slice(index + 1)]);
            return { status: found.status, noise: found.noise.toString("hex"), rest: rest.toString("hex") };
          }
          return undefined;
        });
      const at = input.length === 0 ? 0 : (input[0] ?? 0) % input.length;
      same(find([input.subarray(0, at), input.subarray(at)]), find([input]), "the preambles of a split");
    },
  },
  {
    name: "harmless",
    seeds: [Buffer.from("a\u001b[2J\u202eb\n\u{1f600}")],
    words: ["\u001b", "\u009b", "\u202e", "\\x1b", "\\u{", "\ud83d"],
    run(input) {
      const text = input.toString("utf8");
      const max = 1 + (input[0] ?? 0);
      const shown = harmless(text, max);
      if (shown.length > max) throw new Error("it is longer than it may be");
      if (/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(shown)) throw new Error("it is not harmless");
      if (harmless(shown, max) !== shown) throw new Error("it changes again");
    },
  },
];
