import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isCodedError } from "@farside/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DescriptorLines } from "./descriptor-lines.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-fd-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function fileWith(text: string): Promise<number> {
  const path = join(folder, String(Math.random()));
  await writeFile(path, text);
  return openSync(path, "r");
}

const codeOf = (error: unknown) => (isCodedError(error) ? error.code : String(error));

test("each question takes one line, the last one needs no newline", async () => {
  const fd = await fileWith("123456\r\n654321");
  const lines = new DescriptorLines(fd);
  expect(await lines.next()).toBe("123456");
  expect(await lines.next()).toBe("654321");
  await expect(lines.next().catch(codeOf)).resolves.toBe("card.pin-unavailable");
  closeSync(fd);
});

test("a pipe is waited for, and an abort ends the wait", async () => {
  const path = join(folder, "pipe");
  await new Promise((resolve) => spawn("mkfifo", [path]).once("close", resolve));
  const fd = openSync(path, "r+");
  const lines = new DescriptorLines(fd);
  const controller = new AbortController();
  const waiting = lines.next(controller.signal);
  controller.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
  await writeFile(path, "4711\n");
  expect(await lines.next()).toBe("4711");
});

test("a pipe that nobody writes to is not waited for without end", async () => {
  const path = join(folder, "silent");
  await new Promise((resolve) => spawn("mkfifo", [path]).once("close", resolve));
  const silent = new DescriptorLines(openSync(path, "r+"), 30);
  await expect(silent.next()).rejects.toThrow(/nothing came within 0.03 s/);
});

test("an empty, a closed and an endless descriptor are errors", async () => {
  const empty = await fileWith("");
  await expect(new DescriptorLines(empty).next().catch(codeOf)).resolves.toBe("card.pin-unavailable");
  closeSync(empty);
  await expect(new DescriptorLines(9999).next()).rejects.toThrow(/it is not open/);
  const endless = openSync("/dev/zero", "r");
  await expect(new DescriptorLines(endless).next()).rejects.toThrow(/too long/);
  closeSync(endless);
});
