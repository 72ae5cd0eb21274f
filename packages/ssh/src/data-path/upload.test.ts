import type { Socket } from "node:net";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ChannelHost } from "./channel-host.ts";
import { HEAD_ROOM, TAIL_ROOM } from "./sealer.ts";
import { Upload } from "./upload.ts";

const FIRST_WINDOW = 10;
const MAX_PAYLOAD = 8;

/** An upload whose server, connection and client do what a test says. */
function uploading() {
  /** What goes out, in order: payloads, and the end. */
  const sent: (string | "EOF")[] = [];
  const state = { isExchangingKeys: false, isCongested: false, ends: 0 };
  const host = {
    get isExchangingKeys() {
      return state.isExchangingKeys;
    },
    outbox: { checkCongestion: () => state.isCongested },
    sealer: {
      sealData: (_id: number, bytes: Buffer, from: number, to: number) => {
        sent.push(bytes.toString("latin1", from, to));
      },
    },
    control: (send: (protocol: unknown) => void) => send({ channelEOF: () => sent.push("EOF") }),
    waitForRelief: () => {},
    takeLargeRead: () => true,
    giveLargeReadBack: () => {},
  } as unknown as ChannelHost;
  const channel = { id: 1, remoteId: 2, sendWindow: FIRST_WINDOW, maxPayload: MAX_PAYLOAD };
  const upload = new Upload(host, channel as never, () => {
    state.ends += 1;
  });
  const local = { isReading: false, pause: () => {}, resume: () => {} };
  local.resume = () => {
    local.isReading = true;
  };
  upload.start(local as unknown as Socket, { in: 0, out: 0 });
  return {
    ...{ upload, sent, state },
    get isReading() {
      return local.isReading;
    },
    read(text: string): void {
      const bytes = Buffer.alloc(HEAD_ROOM + text.length + TAIL_ROOM);
      bytes.write(text, HEAD_ROOM, "latin1");
      local.isReading = upload.read(bytes, HEAD_ROOM, HEAD_ROOM + text.length);
      // The next read takes the same place.
      bytes.fill(0);
    },
  };
}

/** What a client sends as its bytes from `at` on. */
function textFrom(at: number, length: number): string {
  return Array.from({ length }, (_, index) => String.fromCharCode(33 + ((at + index) % 90))).join("");
}

describe("the end of an upload", () => {
  it("waits behind what the server's window has not let through yet", () => {
    const { upload, read, sent, state } = uploading();
    read("0123456789abcdefghij");
    upload.ended();
    expect(sent).toEqual(["01234567", "89"]);
    upload.grant(5);
    expect([sent.at(-1), state.ends]).toEqual(["abcde", 0]);
    upload.grant(5);
    expect(sent.slice(-2)).toEqual(["fghij", "EOF"]);
    upload.grant(1);
    expect([sent.filter((each) => each === "EOF").length, state.ends]).toEqual([1, 1]);
  });

  it("waits behind what came during a key exchange", () => {
    const { upload, read, sent, state } = uploading();
    state.isExchangingKeys = true;
    read("abc");
    upload.ended();
    upload.grant(1);
    expect(sent).toEqual([]);
    state.isExchangingKeys = false;
    upload.pump();
    expect(sent).toEqual(["abc", "EOF"]);
  });

  it("comes last, once, after every byte in order, whatever window, congestion and key exchanges do", () => {
    const step = fc.oneof(
      // Without the scratch buffer a chunk comes in pieces, which nothing stops.
      fc.record({
        do: fc.constant("read" as const),
        pieces: fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 3 }),
      }),
      fc.record({ do: fc.constant("grant" as const), bytes: fc.integer({ min: 1, max: 30 }) }),
      fc.constantFrom(
        ...(["end", "exchange", "exchanged", "congested", "relieved"] as const).map((what) => ({ do: what })),
      ),
    );
    const property = fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const one = uploading();
      let [wanted, granted, isEnded] = ["", FIRST_WINDOW, false];
      for (const each of steps) {
        if (each.do === "read" && !isEnded && one.isReading) {
          for (const length of each.pieces) {
            const text = textFrom(wanted.length, length);
            wanted += text;
            one.read(text);
          }
        } else if (each.do === "grant") {
          granted += each.bytes;
          one.upload.grant(each.bytes);
        } else if (each.do === "end") {
          isEnded = true;
          one.upload.ended();
        } else if (each.do === "exchange") one.state.isExchangingKeys = true;
        else if (each.do === "exchanged") {
          one.state.isExchangingKeys = false;
          one.upload.pump();
        } else if (each.do === "congested") one.state.isCongested = true;
        else if (each.do === "relieved") {
          one.state.isCongested = false;
          one.upload.pump();
        }
        const data = one.sent.filter((text) => text !== "EOF");
        expect(wanted.startsWith(data.join(""))).toBe(true);
        expect(data.join("").length).toBeLessThanOrEqual(granted);
        expect(data.every((text) => text.length <= MAX_PAYLOAD)).toBe(true);
        if (one.sent.includes("EOF")) expect(one.sent.slice(-1)).toEqual(["EOF"]);
        if (one.sent.includes("EOF")) expect(data.join("")).toBe(wanted);
      }
      one.state.isExchangingKeys = false;
      one.upload.ended();
      one.upload.grant(wanted.length);
      one.upload.pump();
      expect(one.sent.join("")).toBe(`${wanted}EOF`);
      expect(one.state.ends).toBe(1);
    });
    fc.assert(property, { numRuns: 300 });
  });
});
