import { expect, test } from "vitest";
import { jumpWithPort, sshOptionsOf } from "./ssh-arguments.ts";

test("of a repeated -o key the first one counts, as in ssh", () => {
  const o = [
    ["User", "a"],
    ["user", "b"],
    ["Port", "22"],
  ] as const;
  expect(sshOptionsOf({ o })).toEqual({ User: "a", Port: "22" });
});

test("-p is the port of the jump host, and must not differ from the one it has", () => {
  expect(jumpWithPort("me@jump", 2222)).toBe("me@jump:2222");
  expect(jumpWithPort("::1", 2222)).toBe("[::1]:2222");
  expect(jumpWithPort("me@jump", undefined)).toBe("me@jump");
  expect(jumpWithPort("jump:22", 22)).toBe("jump:22");
  expect(() => jumpWithPort("jump:22", 23)).toThrow(/has port 22, and -p says 23/);
});
