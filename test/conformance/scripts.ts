import type { Script } from "./script.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** More than Node.js reads ahead for who has paused (two reads), and not so much more that a socket would not take it. */
const UNREAD_BYTES = 200 * KIB;

export interface Size {
  /** Bytes each way in the large transfer. */
  readonly largeBytes: number;
  readonly rapidConnections: number;
  /** How long a silent connection is left alone. */
  readonly silenceMs: number;
}

/** For ./scripts/test. 16 connections at a time change hands some 20 times; 1,000 at each kind of target are in test/scale.e2e.test.ts. */
export const SAMPLE: Size = { largeBytes: 32 * MIB, rapidConnections: 300, silenceMs: 700 };
/** For the sockets in ./scripts/test, where what a machine is busy with matters less. */
export const SMALL_SAMPLE: Size = { largeBytes: 8 * MIB, rapidConnections: 100, silenceMs: 300 };
/** For `npm run soak -- conformance`. */
export const WHOLE: Size = { largeBytes: 1024 * MIB, rapidConnections: 1_000, silenceMs: 150_000 };

/** ssh says yes to the client before it knows, and can only end the connection then; an end looks like an answer of no bytes. */
const RESET_INSTEAD = "the client learns that it failed, where ssh lets it look like an empty answer";

const RESET_PASSED_ON = "the reset arrives as what it is, where ssh makes an ordinary end of it";

/** Every kind of connection that is compared; names are rows of docs/relay-conformance.md. */
export function scriptsOf({ largeBytes, rapidConnections, silenceMs }: Size): readonly Script[] {
  return [
    {
      name: "half-close, client first; the answer comes after it",
      client: [{ do: "send", bytes: 5 }, { do: "end" }, { do: "await-close" }],
      service: [{ do: "await-end" }, { do: "send", bytes: 3 * MIB }, { do: "end" }],
    },
    {
      name: "half-close, service first; the client speaks after it",
      client: [{ do: "await-end" }, { do: "send", bytes: 3 * MIB }, { do: "end" }],
      service: [{ do: "send", bytes: 5 }, { do: "end" }, { do: "await-close" }],
    },
    {
      name: "data long after a half-close",
      client: [
        ...[{ do: "send", bytes: 5 } as const, { do: "end" } as const, { do: "gate" } as const],
        ...[{ do: "receive", bytes: 7 } as const, { do: "gate" } as const, { do: "await-close" } as const],
      ],
      service: [
        ...[{ do: "await-end" } as const, { do: "gate" } as const, { do: "stay", ms: 300 } as const],
        ...[{ do: "send", bytes: 7 } as const, { do: "gate" } as const, { do: "end" } as const],
      ],
    },
    {
      name: "both end at once, with data on the way",
      client: [{ do: "gate" }, { do: "send", bytes: 200 * KIB }, { do: "end" }, { do: "await-close" }],
      service: [{ do: "gate" }, { do: "send", bytes: 200 * KIB }, { do: "end" }, { do: "await-close" }],
    },
    {
      name: "0 bytes, client ends first",
      client: [{ do: "end" }, { do: "await-close" }],
      service: [{ do: "await-end" }, { do: "end" }],
    },
    {
      name: "0 bytes, service ends first",
      client: [{ do: "await-end" }, { do: "end" }],
      service: [{ do: "end" }, { do: "await-close" }],
    },
    {
      name: "client resets",
      client: [{ do: "send", bytes: 5 }, { do: "gate" }, { do: "reset" }],
      service: [
        ...[{ do: "receive", bytes: 5 } as const, { do: "gate" } as const],
        ...[{ do: "await-end" } as const, { do: "end" } as const, { do: "await-close" } as const],
      ],
    },
    {
      name: "service resets",
      client: [
        ...[{ do: "receive", bytes: 5 } as const, { do: "gate" } as const],
        ...[{ do: "await-end" } as const, { do: "end" } as const, { do: "await-close" } as const],
      ],
      service: [{ do: "send", bytes: 5 }, { do: "gate" }, { do: "reset" }],
    },
    {
      name: "client resets after the service's half-close",
      client: [{ do: "await-end" }, { do: "gate" }, { do: "reset" }],
      service: [{ do: "send", bytes: 5 }, { do: "end" }, { do: "gate" }, { do: "await-close" }],
    },
    {
      name: "service resets after the client's half-close",
      client: [{ do: "send", bytes: 5 }, { do: "end" }, { do: "gate" }, { do: "await-close" }],
      service: [{ do: "await-end" }, { do: "gate" }, { do: "reset" }],
    },
    {
      name: "client goes away, and the service speaks after it",
      client: [{ do: "send", bytes: 5 }, { do: "gate" }, { do: "close" }, { do: "gate" }],
      service: [
        { do: "receive", bytes: 5 },
        { do: "gate" },
        { do: "await-end" },
        { do: "gate" },
        { do: "speak-on" },
      ],
    },
    {
      name: "client goes away with an answer unread",
      client: [
        { do: "receive", bytes: 1 },
        { do: "pause" },
        { do: "stay", ms: 200 },
        { do: "gate" },
        { do: "close" },
      ],
      service: [{ do: "send", bytes: UNREAD_BYTES }, { do: "gate" }, { do: "await-end" }, { do: "speak-on" }],
      better: [{ end: "service", sees: "connected, reset, closed", because: RESET_PASSED_ON }],
    },
    {
      name: "service goes away with a question unread",
      client: [{ do: "send", bytes: UNREAD_BYTES }, { do: "gate" }, { do: "await-end" }, { do: "speak-on" }],
      service: [
        { do: "receive", bytes: 1 },
        { do: "pause" },
        { do: "stay", ms: 200 },
        { do: "gate" },
        { do: "close" },
      ],
      better: [{ end: "client", sees: "connected, reset, closed", because: RESET_PASSED_ON }],
    },
    {
      name: "connect refused",
      client: [{ do: "await-end" }, { do: "end" }, { do: "await-close" }],
      service: undefined,
      better: [{ end: "client", sees: "connected, reset, closed", because: RESET_INSTEAD }],
    },
    {
      name: "nobody says a word for a while",
      client: [{ do: "stay", ms: silenceMs }, { do: "gate" }, { do: "receive", bytes: 1 }, { do: "end" }],
      service: [{ do: "gate" }, { do: "send", bytes: 1 }, { do: "await-end" }, { do: "end" }],
    },
    {
      name: "slow reader on the service's side",
      client: [{ do: "fill" }, { do: "gate" }, { do: "end" }, { do: "await-close" }],
      service: [{ do: "pause" }, { do: "gate" }, { do: "resume" }, { do: "await-end" }, { do: "end" }],
    },
    {
      name: "slow reader on the client's side",
      client: [{ do: "pause" }, { do: "gate" }, { do: "resume" }, { do: "await-end" }, { do: "end" }],
      service: [{ do: "fill" }, { do: "gate" }, { do: "end" }, { do: "await-close" }],
    },
    {
      name: "client resets while it is held back",
      client: [{ do: "fill" }, { do: "gate" }, { do: "reset" }, { do: "gate" }],
      service: [
        ...[{ do: "pause" } as const, { do: "gate" } as const, { do: "gate" } as const],
        ...[{ do: "resume" } as const, { do: "await-end" } as const, { do: "end" } as const],
      ],
    },
    {
      name: "service resets while it is held back",
      client: [
        ...[{ do: "pause" } as const, { do: "gate" } as const, { do: "gate" } as const],
        ...[{ do: "resume" } as const, { do: "await-end" } as const, { do: "end" } as const],
      ],
      service: [{ do: "fill" }, { do: "gate" }, { do: "reset" }, { do: "gate" }],
    },
    {
      name: "slow writer: each piece arrives before the next is sent",
      client: [
        ...[1, 2, 3, 4].flatMap(() => [{ do: "send", bytes: 10 } as const, { do: "gate" } as const]),
        ...[{ do: "end" } as const, { do: "await-close" } as const],
      ],
      service: [
        ...[1, 2, 3, 4].flatMap((count) => [
          { do: "receive", bytes: 10 * count } as const,
          { do: "gate" } as const,
        ]),
        ...[{ do: "await-end" } as const, { do: "end" } as const],
      ],
    },
    {
      name: "a byte and its echo, 200 times",
      client: [{ do: "ping", times: 200 }, { do: "end" }, { do: "await-close" }],
      service: [{ do: "echo" }],
    },
    {
      name: "one byte at a time, 20,000 of them",
      client: [{ do: "send", bytes: 20_000, piece: 1 }, { do: "end" }, { do: "await-close" }],
      service: [{ do: "await-end" }, { do: "end" }],
    },
    {
      name: `${largeBytes / MIB} MiB each way at once`,
      client: [{ do: "send", bytes: largeBytes }, { do: "end" }, { do: "await-close" }],
      service: [{ do: "send", bytes: largeBytes }, { do: "end" }, { do: "await-close" }],
    },
    {
      name: "client sends and ends while the connection to the service is being made",
      isServiceSlow: true,
      client: [{ do: "send", bytes: 5 }, { do: "end" }, { do: "gate" }, { do: "await-close" }],
      service: [{ do: "await-end" }, { do: "end" }],
    },
    {
      name: "client resets while the connection to the service is being made",
      isServiceSlow: true,
      client: [{ do: "stay", ms: 300 }, { do: "reset" }, { do: "gate" }],
      service: [{ do: "await-end" }, { do: "end" }, { do: "await-close" }],
      better: [{ end: "service", sees: "connected, reset, closed", because: RESET_PASSED_ON }],
    },
    {
      name: `${rapidConnections} connections, opened and closed as fast as they go`,
      connections: rapidConnections,
      atOnce: 16,
      client: [{ do: "send", bytes: 1 }, { do: "receive", bytes: 1 }, { do: "end" }, { do: "await-close" }],
      service: [{ do: "receive", bytes: 1 }, { do: "send", bytes: 1 }, { do: "await-end" }, { do: "end" }],
    },
  ];
}
