import { expect, test } from "vitest";
import { sessionOptionsOf, sshOptionsOf } from "./forward-options.ts";

test("of a repeated -o key the first one counts, as in ssh", () => {
  const o = [
    ["User", "a"],
    ["user", "b"],
    ["Port", "22"],
  ] as const;
  expect(sshOptionsOf({ o })).toEqual({ User: "a", Port: "22" });
});

test("-p is the port of the jump host, and must not differ from the one it has", () => {
  const base = { L: ["1:b:2"], jump: "me@jump" };
  expect(sessionOptionsOf({ ...base, p: 2222 }).jump).toBe("me@jump:2222");
  expect(sessionOptionsOf({ ...base, jump: "::1", p: 2222 }).jump).toBe("[::1]:2222");
  expect(sessionOptionsOf(base).jump).toBe("me@jump");
  expect(sessionOptionsOf({ ...base, jump: "jump:22", p: 22 }).jump).toBe("jump:22");
  expect(() => sessionOptionsOf({ ...base, jump: "jump:22", p: 23 })).toThrow(/has port 22, and -p says 23/);
});

test("a --ready-file that can't be made is refused before anything is started", () => {
  expect(() => sessionOptionsOf({ jump: "j", L: ["1:b:2"], "ready-file": "/no/such/ready" })).toThrow(
    /no file can be made in \/no\/such/,
  );
});
