import { describe, expect, test } from "vitest";
import { type ForwardEvent, type ForwardState, next } from "./forward-state.ts";

const bound = [{ kind: "unix", path: "/x" }] as const;
const opening: ForwardState = { phase: "opening" };
const open: ForwardState = { phase: "open", bound };
const draining: ForwardState = { phase: "draining" };
const closed: ForwardState = { phase: "closed" };
const listening: ForwardEvent = { event: "listening", bound };
const openFailed: ForwardEvent = { event: "open-failed" };
const close: ForwardEvent = { event: "close" };
const drained: ForwardEvent = { event: "drained" };

describe("the state of a forward", () => {
  test.each<[ForwardState, ForwardEvent, ForwardState]>([
    [opening, listening, open],
    [opening, openFailed, closed],
    [opening, close, draining],
    [opening, drained, opening],
    [open, listening, open],
    [open, openFailed, open],
    [open, close, draining],
    [open, drained, open],
    [draining, listening, draining],
    [draining, openFailed, draining],
    [draining, close, draining],
    [draining, drained, closed],
    [closed, listening, closed],
    [closed, openFailed, closed],
    [closed, close, closed],
    [closed, drained, closed],
  ])("$0.phase, $1.event: $2.phase", (state, event, after) => {
    expect(next(state, event)).toEqual(after);
  });
});
