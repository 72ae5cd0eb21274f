import { isCodedError } from "@farside/protocol";
import { expect, test } from "vitest";
import { Interrupts } from "./interrupts.ts";

function withClock() {
  let now = 0;
  const interrupts = new Interrupts(() => now);
  return { interrupts, at: (ms: number) => (now = ms) };
}

test("the first signal ends, a second ends the grace, a third kills", () => {
  const { interrupts, at } = withClock();
  const seen: string[] = [];
  interrupts.onStep((step) => seen.push(step));
  interrupts.take("SIGINT");
  at(1500);
  interrupts.take("SIGTERM");
  at(3000);
  interrupts.take("SIGINT");
  at(4500);
  interrupts.take("SIGINT");
  expect(seen).toEqual(["end", "hurry", "kill", "kill"]);
  expect(interrupts.first).toBe("SIGINT");
});

test("a signal less than a second after one that counted is the same Ctrl-C", () => {
  const { interrupts, at } = withClock();
  expect(interrupts.take("SIGINT")).toBe("end");
  at(50);
  expect(interrupts.take("SIGINT")).toBeUndefined();
  at(999);
  expect(interrupts.take("SIGINT")).toBeUndefined();
  at(1001);
  expect(interrupts.take("SIGINT")).toBe("hurry");
  at(1051);
  expect(interrupts.take("SIGINT")).toBeUndefined();
});

test("the first signal aborts with `canceled`, and a listener that was taken off hears nothing", () => {
  const { interrupts } = withClock();
  let heard = 0;
  const off = interrupts.onStep(() => (heard += 1));
  off();
  expect(interrupts.signal.aborted).toBe(false);
  interrupts.take("SIGHUP");
  const reason: unknown = interrupts.signal.reason;
  expect(isCodedError(reason) && reason.code).toBe("canceled");
  expect(heard).toBe(0);
});
