import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Backlog } from "./backlog.ts";

describe("the backlog of a slow reader", () => {
  it("gives back what it was given, in order, whatever the pieces", () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.integer({ min: 1, max: 200_000 }), fc.constant(0)), { maxLength: 40 }),
        (steps) => {
          const backlog = new Backlog();
          const given: Buffer[] = [];
          const taken: Buffer[] = [];
          let next = 0;
          for (const step of steps) {
            if (step === 0) {
              const chunk = backlog.shift();
              if (chunk !== undefined) taken.push(Buffer.from(chunk));
            } else {
              next += 1;
              const bytes = Buffer.alloc(step, next);
              given.push(bytes);
              backlog.append(Buffer.concat([Buffer.of(0), bytes, Buffer.of(0)]), 1, step + 1);
            }
          }
          for (let chunk = backlog.shift(); chunk !== undefined; chunk = backlog.shift()) taken.push(chunk);
          expect(Buffer.concat(taken).equals(Buffer.concat(given))).toBe(true);
          expect(backlog.length).toBe(0);
        },
      ),
    );
  });

  it("keeps single bytes in few chunks", () => {
    const backlog = new Backlog();
    for (let count = 0; count < 100_000; count += 1) backlog.append(Buffer.of(1), 0, 1);
    let chunks = 0;
    while (backlog.shift() !== undefined) chunks += 1;
    expect(chunks).toBeLessThan(5);
  });
});
