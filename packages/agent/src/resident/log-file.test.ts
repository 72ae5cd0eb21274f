import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Log } from "../log.ts";
import { LogFile } from "./log-file.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "fs-log-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const place = () => path.join(folder, "s.log");
const written = (file: LogFile) => new Promise((resolve) => file.write("", resolve));

test("is private, holds what came before it began, and is gone when it is removed", async () => {
  const file = new LogFile({ path: place() });
  const log = new Log(file);
  log.info("early", { text: "\u001b[2Jno escape" });
  expect(await readdir(folder)).toEqual([]);
  await file.begin();
  log.warn("late");
  await written(file);
  const lines = (await readFile(place(), "utf8")).trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { level: "info", message: "early", text: "\\x1b[2Jno escape" },
    { level: "warn", message: "late" },
  ]);
  expect((await stat(place())).mode & 0o777).toBe(0o600);
  await file.remove();
  log.info("behind the end");
  await written(file);
  expect(await readdir(folder)).toEqual([]);
});

test("never is larger than twice its size, whatever is written, and keeps the newest", async () => {
  const file = new LogFile({ path: place(), maxBytes: 1000 });
  await file.begin();
  for (let line = 0; line < 200; line += 1) file.write(`line ${line} ${"x".repeat(40)}\n`);
  await written(file);
  expect((await readdir(folder)).sort()).toEqual(["s.log", "s.log.1"]);
  const [older, newest] = [await readFile(`${place()}.1`, "utf8"), await readFile(place(), "utf8")];
  expect(older.length).toBeLessThanOrEqual(1000);
  expect(newest.length).toBeLessThanOrEqual(1000);
  const lines = (older + newest).trimEnd().split("\n");
  expect(lines.at(-1)).toMatch(/^line 199 /);
  expect(Number(lines[0]?.split(" ")[1])).toBe(200 - lines.length);
  await file.remove();
  expect(await readdir(folder)).toEqual([]);
});

test("replaces what one that was killed has left, follows no link, and leaves the files alone where it never began", async () => {
  await writeFile(path.join(folder, "elsewhere"), "kept");
  await symlink(path.join(folder, "elsewhere"), place());
  const never = new LogFile({ path: place() });
  never.write("of a second agent of that name");
  await never.remove();
  expect((await readdir(folder)).sort()).toEqual(["elsewhere", "s.log"]);
  const file = new LogFile({ path: place() });
  await file.begin();
  file.write("new\n");
  await written(file);
  expect(await readFile(place(), "utf8")).toBe("new\n");
  expect(await readFile(path.join(folder, "elsewhere"), "utf8")).toBe("kept");
  await file.remove();
});

test("that can't be written holds nobody up", async () => {
  const file = new LogFile({ path: path.join(folder, "no", "such.log") });
  await file.begin();
  for (let line = 0; line < 100; line += 1) file.write("lost\n");
  await written(file);
  expect(file.writable).toBe(true);
  await file.remove();
});
