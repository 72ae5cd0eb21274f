import { spawn } from "node:child_process";
import { openSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { PinRequest } from "./pin.ts";
import { pinSourceFrom, promptText } from "./pin-source.ts";

const request: PinRequest = { token: "work", reason: "first", lastTry: false };
const unavailable = { code: "card.pin-unavailable", leg: "card" };

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-pin-"));
});
afterEach(() => rm(folder, { recursive: true }));

const file = async (name: string, text: string, mode = 0o600): Promise<string> => {
  const path = join(folder, name);
  await writeFile(path, text);
  await chmod(path, mode);
  return path;
};

describe("env:", () => {
  it("gives the variable and takes it out of the environment", async () => {
    const env = { MY_PIN: "1234", OTHER: "x" };
    const source = pinSourceFrom("env:MY_PIN", env);
    expect(env).toEqual({ OTHER: "x" });
    expect(await source.ask(request)).toBe("1234");
    expect(await source.ask(request)).toBe("1234");
    expect(source.isInteractive).toBe(false);
    expect(await source.confirmLastTry({ ...request, lastTry: true })).toBe(false);
  });

  it("says that the variable is not set", async () => {
    await expect(pinSourceFrom("env:MY_PIN", {}).ask(request)).rejects.toMatchObject(unavailable);
  });
});

describe("fd:", () => {
  it("gives the first line once", async () => {
    const fd = openSync(await file("pin", "1234\r\nrest"), "r");
    const source = pinSourceFrom(`fd:${fd}`, {});
    expect(await source.ask(request)).toBe("1234");
    await expect(source.ask(request)).rejects.toMatchObject(unavailable);
  });

  it("reads a pipe that stays open, and stops at an abort", async () => {
    const pipe = join(folder, "pipe");
    const mkfifo = spawn("mkfifo", [pipe]);
    await new Promise((resolve) => mkfifo.once("exit", resolve));
    const fd = openSync(pipe, "r+");
    await writeFile(pipe, "4321\n");
    expect(await pinSourceFrom(`fd:${fd}`, {}).ask(request)).toBe("4321");
  });

  it("says that a descriptor can't be read", async () => {
    await expect(pinSourceFrom("fd:9999", {}).ask(request)).rejects.toMatchObject(unavailable);
  });
});

describe("file:", () => {
  it("gives the first line of a file that only we can read, each time anew", async () => {
    const path = await file("pin", "1234\n");
    const source = pinSourceFrom(`file:${path}`, {});
    expect(await source.ask(request)).toBe("1234");
    await file("pin", "9876");
    expect(await source.ask(request)).toBe("9876");
  });

  it.each([0o640, 0o604, 0o666])("refuses a file of mode %o", async (mode) => {
    const path = await file("pin", "1234\n", mode);
    await expect(pinSourceFrom(`file:${path}`, {}).ask(request)).rejects.toMatchObject({
      ...unavailable,
      hint: `chmod 600 ${path}`,
    });
  });

  it("refuses what is no file, or not there", async () => {
    for (const path of [folder, join(folder, "none"), "/dev/null"])
      await expect(pinSourceFrom(`file:${path}`, {}).ask(request)).rejects.toMatchObject(unavailable);
  });
});

describe("askpass", () => {
  const script = (text: string): Promise<string> => file("askpass", `#!/bin/sh\n${text}\n`, 0o700);

  it("takes the first line that the program prints, and gives it the prompt", async () => {
    const SSH_ASKPASS = await script('[ "$1" = "PIN for work: " ] && printf "1234\\nmore\\n"');
    const source = pinSourceFrom("askpass", { SSH_ASKPASS, PATH: process.env["PATH"] });
    expect(await source.ask(request)).toBe("1234");
    expect(source.isInteractive).toBe(true);
  });

  it("asks whether to spend the last try as ssh does", async () => {
    const SSH_ASKPASS = await script('[ "$SSH_ASKPASS_PROMPT" = confirm ] && [ -e "$0.yes" ]');
    const source = pinSourceFrom("askpass", { SSH_ASKPASS, PATH: process.env["PATH"] });
    expect(await source.confirmLastTry({ ...request, lastTry: true })).toBe(false);
    await writeFile(`${SSH_ASKPASS}.yes`, "");
    expect(await source.confirmLastTry({ ...request, lastTry: true })).toBe(true);
  });

  it("says that it was canceled, that there is no program, and that it can't be run", async () => {
    const SSH_ASKPASS = await script("exit 1");
    for (const env of [{ SSH_ASKPASS }, {}, { SSH_ASKPASS: "/nonexistent/askpass" }])
      await expect(pinSourceFrom("askpass", env).ask(request)).rejects.toMatchObject(unavailable);
  });

  it("ends the program at an abort", async () => {
    const SSH_ASKPASS = await script("exec sleep 100");
    const abort = new AbortController();
    const asked = pinSourceFrom("askpass", { SSH_ASKPASS, PATH: process.env["PATH"] }).ask({
      ...request,
      signal: abort.signal,
    });
    abort.abort(new Error("no more"));
    await expect(asked).rejects.toThrow("no more");
  });
});

it.each(["", "tty", "env:", "fd:x", "fd:1", "fd:-3", "password:1234"])("refuses %j as a source", (spec) => {
  expect(() => pinSourceFrom(spec, {})).toThrow(expect.objectContaining({ code: "usage.invalid" }));
});

it("promptText says why a PIN is asked for again", () => {
  expect(promptText({ ...request, reason: "card-reinserted" })).toBe(
    "PIN for work again (the card was out): ",
  );
  expect(promptText({ ...request, lastTry: true })).toBe("PIN for work, last try: ");
});
