import { expect, test } from "vitest";
import { sessionOptionsOf } from "./forward-options.ts";

test("everything that is wrong with the line is known before anything is started", () => {
  const base = { jump: "me@jump", L: ["1:b:2"] };
  expect(sessionOptionsOf({ ...base, p: 2222 }).jump).toBe("me@jump:2222");
  expect(() => sessionOptionsOf({ ...base, L: ["1:b:2", "x:b:2"] })).toThrow(/cannot read -L "x:b:2"/);
  expect(() => sessionOptionsOf({ ...base, via: "a:b:c" })).toThrow(/cannot read --via "a:b:c"/);
  expect(() => sessionOptionsOf({ ...base, J: "a,,b" })).toThrow(/cannot read -J/);
  expect(() => sessionOptionsOf({ ...base, "via-host-key": ["sign"] })).toThrow(/cannot read --via-host-key/);
});

test("a --ready-file that can't be made is refused before anything is started", () => {
  expect(() => sessionOptionsOf({ jump: "j", L: ["1:b:2"], "ready-file": "/no/such/ready" })).toThrow(
    /no file can be made in \/no\/such/,
  );
});

test("--metrics-port is refused where the agent ends with its connection", () => {
  const base = { jump: "j", L: ["1:b:2"], "metrics-port": 9100 };
  expect(() => sessionOptionsOf(base)).toThrow(/--metrics-port needs --reattach or --detach/);
  expect(sessionOptionsOf({ ...base, reattach: true })).toMatchObject({ metricsPort: 9100 });
});

test("--detach is refused without an end", () => {
  const base = { jump: "j", L: ["1:b:2"], detach: true };
  expect(() => sessionOptionsOf(base)).toThrow(/--detach needs --ttl/);
  expect(sessionOptionsOf({ ...base, ttl: 60_000 })).toMatchObject({ detach: true, ttlMs: 60_000 });
});
