import { expect, test } from "vitest";
import { parsePinOrigin } from "./pin-source.ts";

test.each([
  ["tty", { kind: "tty" }],
  ["askpass", { kind: "askpass" }],
  ["env:MY_PIN", { kind: "env", name: "MY_PIN" }],
  ["fd:3", { kind: "fd", fd: 3 }],
  ["file:/run/pin", { kind: "file", path: "/run/pin" }],
])("reads %s", (text, origin) => {
  expect(parsePinOrigin(text, "--pin-source")).toEqual(origin);
});

test.each(["123456", "env:", "env:A B", "fd:x", "fd:", "file:", "TTY", "stdin"])(
  "refuses %s without repeating it",
  (text) => {
    let message = "";
    try {
      parsePinOrigin(text, "--pin-source");
    } catch (error) {
      message = error instanceof Error ? error.message : "";
    }
    expect(message).toMatch(/^--pin-source: the value is not one of/);
    expect(message.replace("tty, askpass, env:NAME, fd:N, file:PATH", "")).not.toContain(text);
  },
);
