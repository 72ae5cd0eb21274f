import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ChainHead, nextLine } from "./audit-line.ts";
import { ChainCheck } from "./verify-chain.ts";

const entry = fc.record({
  event: fc.constantFrom("deploy", "bind", "relay", "sign", "teardown"),
  peer: fc.string(),
  bytesIn: fc.nat(),
});
const chain = fc.array(entry, { minLength: 1, maxLength: 12 }).map((entries) => {
  const lines: string[] = [];
  let head: ChainHead | undefined;
  for (const each of entries) {
    const next = nextLine(each, "2026-01-01T00:00:00.000Z", head);
    lines.push(next.line);
    head = next.head;
  }
  return { lines, head: head as ChainHead };
});
const place = fc.nat({ max: 1_000_000 });

function check(lines: readonly (string | Uint8Array)[], known: readonly ChainHead[] = []) {
  const chainCheck = new ChainCheck(known);
  for (const line of lines) chainCheck.push(typeof line === "string" ? Buffer.from(line) : line);
  return chainCheck.end({ isWhole: true });
}

function spliced(lines: readonly string[], at: number, removed: number, ...added: string[]): string[] {
  return [...lines.slice(0, at), ...added, ...lines.slice(at + removed)];
}

describe("a chain whose newest place is known", () => {
  test("is as it was written where nothing was done to it", () => {
    fc.assert(
      fc.property(chain, ({ lines, head }) => {
        expect(check(lines, [head])).toMatchObject({
          lines: lines.length,
          last: head,
          findings: [],
          notes: [],
        });
      }),
    );
  });

  const isFound = (lines: readonly (string | Uint8Array)[], head: ChainHead) =>
    expect(check(lines, [head]).findings.length).toBeGreaterThan(0);

  test("shows any byte that was changed", () => {
    fc.assert(
      fc.property(
        chain,
        place,
        place,
        fc.integer({ min: 1, max: 255 }),
        ({ lines, head }, line, byte, by) => {
          const bytes = lines.map((text) => Buffer.from(text));
          const changed = bytes[line % bytes.length] as Buffer;
          const at = byte % changed.length;
          changed[at] = (changed[at] as number) ^ by;
          isFound(bytes, head);
        },
      ),
    );
  });

  test("shows any line that was removed, doubled, or put elsewhere", () => {
    fc.assert(
      fc.property(chain, place, place, ({ lines, head }, from, to) => {
        const at = from % lines.length;
        const others = spliced(lines, at, 1);
        isFound(others, head);
        isFound(spliced(lines, at, 0, lines[at] as string), head);
        const moved = spliced(others, to % lines.length, 0, lines[at] as string);
        if (to % lines.length !== at) isFound(moved, head);
      }),
    );
  });

  test("shows that it was cut off, after whatever byte", () => {
    fc.assert(
      fc.property(chain, place, ({ lines, head }, cut) => {
        const text = Buffer.from(lines.join("\n"));
        const kept = text.subarray(0, cut % text.length);
        isFound(
          kept
            .toString("latin1")
            .split("\n")
            .map((line) => Buffer.from(line, "latin1")),
          head,
        );
      }),
    );
  });

  test("shows a line that was made up and put in", () => {
    fc.assert(
      fc.property(chain, place, entry, ({ lines, head }, at, madeUp) => {
        const where = at % (lines.length + 1);
        const before = where === 0 ? undefined : check(lines.slice(0, where)).last;
        const { line } = nextLine(madeUp, "2026-01-01T00:00:00.000Z", before);
        fc.pre(line !== lines[where] && where < lines.length);
        isFound(spliced(lines, where, 0, line), head);
        isFound(spliced(lines, where, 1, line), head);
      }),
    );
  });

  test("and rewritten from some line on, with hashes that fit", () => {
    fc.assert(
      fc.property(chain, place, ({ lines, head }, at) => {
        let previous: ChainHead | undefined;
        const rewritten = lines.map((line, index) => {
          const { v: _, seq: __, prev: ___, at: time, ...rest } = JSON.parse(line);
          if (index >= at % lines.length) rest.peer = `${rest.peer} not`;
          const next = nextLine(rest, time, previous);
          previous = next.head;
          return next.line;
        });
        isFound(rewritten, head);
        // Alone, it can't be told.
        expect(check(rewritten).findings).toEqual([]);
      }),
    );
  });
});

test("the same value written otherwise is a change: white space, order of keys, a key twice", () => {
  const { line } = nextLine({ event: "bind" }, "2026-01-01T00:00:00.000Z", undefined);
  const { at, event, prev, seq, v } = JSON.parse(line) as Record<string, unknown>;
  for (const other of [
    `${line} `,
    JSON.stringify({ v, seq, prev, event, at }),
    line.replace('"v":1', '"v":1,"v":1'),
  ])
    expect(check([other]).findings).toMatchObject([{ kind: "changed" }]);
});

test("a chain without its first lines is not whole, unless a line says that they were removed", () => {
  const first = nextLine({ event: "deploy" }, "2026-01-01T00:00:00.000Z", undefined);
  const second = nextLine({ event: "bind" }, "2026-01-01T00:00:00.000Z", first.head);
  expect(check([second.line]).findings).toMatchObject([{ kind: "missing", seq: 1 }]);
  const wrong = { seq: 1, hash: "1".repeat(64) };
  const removedThrough = (head: ChainHead) =>
    nextLine({ event: "rotated", removedThrough: head }, "2026-01-01T00:00:00.000Z", second.head).line;
  expect(check([second.line, removedThrough(first.head)]).findings).toEqual([]);
  expect(check([second.line, removedThrough(wrong)]).findings).toMatchObject([{ kind: "missing" }]);
});
