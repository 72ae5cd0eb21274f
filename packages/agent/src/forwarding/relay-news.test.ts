import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { OPENING_WAITS_MS, RelayNews } from "./relay-news.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const relay = (relayId: number) => ({ forwardId: "1", relayId, peer: "127.0.0.1:5", uid: 7 });
const end = { bytesIn: 1, bytesOut: 2, durationMs: 3, reason: "end" as const };

function news() {
  const told: [name: string, data: Record<string, unknown>][] = [];
  const subject = new RelayNews((definition, data) => {
    told.push([definition.name, data as Record<string, unknown>]);
  });
  return { subject, told };
}

test("a relay that ends at once is told in one event", () => {
  const { subject, told } = news();
  subject.opened(relay(1));
  subject.closed({ ...relay(1), ...end });
  vi.runAllTimers();
  expect(told).toEqual([["relay.close", { ...relay(1), ...end, isWhole: true }]]);
});

test("relays that stay are told as they open, some milliseconds later and in order, and again at their end", () => {
  const { subject, told } = news();
  for (const id of [1, 2, 3]) subject.opened(relay(id));
  subject.closed({ ...relay(2), ...end });
  expect(told.map(([name]) => name)).toEqual(["relay.close"]);
  vi.advanceTimersByTime(OPENING_WAITS_MS);
  expect(told.slice(1)).toEqual([
    ["relay.open", relay(1)],
    ["relay.open", relay(3)],
  ]);
  subject.closed({ ...relay(3), ...end });
  expect(told.at(-1)).toEqual(["relay.close", { ...relay(3), ...end }]);
  subject.opened(relay(4));
  vi.advanceTimersByTime(OPENING_WAITS_MS);
  expect(told.at(-1)).toEqual(["relay.open", relay(4)]);
});

test("one that has just opened when another is told has its own time to end", () => {
  const { subject, told } = news();
  subject.opened(relay(1));
  vi.advanceTimersByTime(OPENING_WAITS_MS - 5);
  subject.opened(relay(2));
  subject.opened(relay(3));
  vi.advanceTimersByTime(5);
  expect(told).toEqual([["relay.open", relay(1)]]);
  subject.closed({ ...relay(2), ...end });
  expect(told.at(-1)).toEqual(["relay.close", { ...relay(2), ...end, isWhole: true }]);
  vi.advanceTimersByTime(OPENING_WAITS_MS - 6);
  expect(told).toHaveLength(2);
  vi.advanceTimersByTime(1);
  expect(told.at(-1)).toEqual(["relay.open", relay(3)]);
  vi.runAllTimers();
  expect(told).toHaveLength(3);
});
