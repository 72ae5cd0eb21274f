import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AuditFiles, AuditTrail, verifyLog, withFileLock } from "@farside/protocol/audit";
import { afterEach, beforeEach, expect, test } from "vitest";
import { HeldAudit } from "./held-audit.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-held-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function* chunksOf(held: HeldAudit, size: number): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < held.bytes; offset += size) yield held.read(offset, size);
}

test("is whole while the log is written to and rotated, whatever the chunks", async () => {
  // A file is full after a few lines, and only four are kept.
  const trail = new AuditTrail({ folder, maxFileBytes: 500, maxOlderFiles: 3 });
  const write = async (lines: number) => {
    for (let line = 0; line < lines; line += 1) trail.append({ event: "relay", line });
    await trail.flush();
  };
  for (let round = 0; round < 8; round += 1) await write(2);
  await using held = await HeldAudit.hold(folder);
  const head = trail.head;
  let isWriting = true;
  const writing = (async () => {
    while (isWriting) await write(3);
  })();
  for (const size of [1, 7, 300, 1_000_000]) {
    const report = await verifyLog(chunksOf(held, size), { head: held.head, known: head ? [head] : [] });
    expect(report).toMatchObject({ findings: [], last: head });
  }
  isWriting = false;
  await writing;
  await trail.close();
  expect((await held.read(held.bytes, 10)).length).toBe(0);
  await using later = await HeldAudit.hold(folder);
  expect(later.head?.seq).toBeGreaterThan(head?.seq ?? 0);
});

test("of a folder without a log holds nothing", async () => {
  await using held = await HeldAudit.hold(folder);
  expect([held.bytes, held.head, (await held.read(0, 10)).length]).toEqual([0, undefined, 0]);
});

test("waits for a line that is being written", async () => {
  await using trail = new AuditTrail({ folder });
  trail.append({ event: "start" });
  await trail.flush();
  const files = new AuditFiles(folder);
  const whole = await readFile(files.current, "utf8");
  let held: Promise<HeldAudit> | undefined;
  await withFileLock(files.lock, async () => {
    await writeFile(files.current, whole.slice(0, 20));
    held = HeldAudit.hold(folder);
    // What it makes before it waits.
    const itsTurn = async () =>
      (await readdir(folder)).filter((name) => name.startsWith("audit.lock.")).length;
    await expect.poll(itsTurn, { interval: 1 }).toBe(1);
    await writeFile(files.current, whole);
  });
  await using all = await held;
  expect(all?.bytes).toBe(whole.length);
});
