import {
  appendFile,
  chmod,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { AuditTrail, type AuditTrailOptions } from "./audit-trail.ts";
import { verifyAudit } from "./verify-audit.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-audit-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const file = () => join(folder, "audit.jsonl");
const lines = async () => (await readFile(file(), "utf8")).trimEnd().split("\n");
const eventsOf = async () => (await lines()).map((line) => (JSON.parse(line) as { event: string }).event);

/** As long as it may take on a busy machine: what is not written by then is lost, by contract. */
const LONG_MS = 20_000;

async function write(events: readonly string[], options: Partial<AuditTrailOptions> = {}): Promise<number> {
  const trail = new AuditTrail({ folder, ...options });
  for (const event of events) trail.append({ event, session: "calm-otter" });
  return trail.close(LONG_MS);
}

test("lines are canonical JSON, each with the hash of the one before, in a file that is ours alone", async () => {
  await write(["deploy", "bind", "teardown"]);
  expect(await eventsOf()).toEqual(["deploy", "bind", "teardown"]);
  expect((await lines())[0]).toMatch(
    /^\{"at":"[^"]+","event":"deploy","prev":"0{64}","seq":1,"session":"calm-otter","v":1\}$/,
  );
  for (const name of ["audit.jsonl", "audit.head"])
    expect((await stat(join(folder, name))).mode & 0o777).toBe(0o600);
  expect(await readdir(folder)).toEqual(["audit.head", "audit.jsonl"]);
  expect(await verifyAudit(folder)).toMatchObject({ lines: 3, findings: [], notes: [], last: { seq: 3 } });
});

test("several that write at the same time make one chain", async () => {
  const trails = Array.from({ length: 5 }, () => new AuditTrail({ folder }));
  for (let round = 0; round < 20; round += 1) {
    for (const [index, trail] of trails.entries()) trail.append({ event: `of-${index}` });
    await trails[round % trails.length]?.flush();
  }
  expect(await Promise.all(trails.map((trail) => trail.close(LONG_MS)))).toEqual([0, 0, 0, 0, 0]);
  expect(await verifyAudit(folder)).toMatchObject({ lines: 100, findings: [], last: { seq: 100 } });
});

test("a link in the place of what becomes the newest line's name is not written through", async () => {
  const other = join(folder, "other");
  await writeFile(other, "theirs");
  await symlink(other, join(folder, "audit.head.new"));
  await write(["deploy"]);
  expect(await readFile(other, "utf8")).toBe("theirs");
  expect(await verifyAudit(folder)).toMatchObject({ lines: 1, findings: [], notes: [] });
});

test("a line whose writing broke off stays, and the next line says so", async () => {
  await write(["deploy", "bind"]);
  const torn = (await lines())[1]?.slice(0, 50) ?? "";
  await appendFile(file(), torn);
  await write(["teardown"]);
  expect((await lines())[2]).toBe(torn);
  expect((await lines()).slice(3).map((line) => JSON.parse(line).event)).toEqual(["repaired", "teardown"]);
  const { findings, notes } = await verifyAudit(folder);
  expect(findings).toEqual([]);
  expect(notes).toEqual(["the writing of a line broke off before line 3, which says so"]);
});

test("a line that lacks only its line break gets it", async () => {
  await write(["deploy", "bind"]);
  await truncate(file(), (await stat(file())).size - 1);
  expect(await verifyAudit(folder)).toMatchObject({
    findings: [],
    notes: [expect.stringContaining("no line break")],
  });
  await write(["teardown"]);
  expect(await eventsOf()).toEqual(["deploy", "bind", "teardown"]);
  expect(await verifyAudit(folder)).toMatchObject({ findings: [], notes: [] });
});

test("what was cut off is not covered up by what is written next", async () => {
  await write(["deploy", "bind", "relay"]);
  const [first] = await lines();
  await writeFile(file(), `${first}\n`);
  await write(["teardown"]);
  expect(await eventsOf()).toEqual(["deploy", "repaired", "teardown"]);
  const { findings, last } = await verifyAudit(folder);
  expect(findings).toMatchObject([
    { kind: "missing", seq: 2, says: expect.stringContaining("lines 2 to 3") },
  ]);
  expect(last?.seq).toBe(5);
});

test("nor is a file that was removed, or a last line that was changed", async () => {
  await write(["deploy", "bind"]);
  const [first = "", second = ""] = await lines();
  await writeFile(file(), `${first}\n${second.replace("calm", "mild")}\n`);
  await write(["relay"]);
  expect((await verifyAudit(folder)).findings).toMatchObject([{ kind: "changed", seq: 2 }]);
  await rm(file());
  await write(["teardown"]);
  const { findings } = await verifyAudit(folder);
  expect(findings).toMatchObject([{ kind: "missing", seq: 1 }]);
});

test("a full file is put aside, the oldest goes, and the chain goes on and says so", async () => {
  for (let round = 0; round < 12; round += 1)
    await write(["relay", "relay", "relay"], { maxFileBytes: 400, maxOlderFiles: 3 });
  expect((await readdir(folder)).filter((name) => name.endsWith(".jsonl"))).toHaveLength(4);
  const { findings, notes, first, last } = await verifyAudit(folder);
  expect(findings).toEqual([]);
  expect(notes).toEqual([expect.stringContaining("were removed when there were enough")]);
  expect([first?.seq ?? 0, last?.seq]).toEqual([expect.any(Number), 48]);
  expect(first?.seq).toBeGreaterThan(20);
  const oldest = (await readdir(folder)).filter((name) => name.endsWith(".jsonl")).sort()[0] ?? "";
  await rm(join(folder, oldest));
  expect((await verifyAudit(folder)).findings).toMatchObject([{ kind: "missing", seq: 1 }]);
});

test("a file that can't be written to holds nobody up; what waits is written when it can be", async () => {
  await writeFile(join(folder, "elsewhere"), "");
  await symlink(join(folder, "elsewhere"), file());
  const failures: unknown[] = [];
  const trail = new AuditTrail({ folder, onFailure: (error) => failures.push(error) });
  trail.append({ event: "deploy" });
  await trail.flush();
  expect(failures).toHaveLength(1);
  expect(await readFile(join(folder, "elsewhere"), "utf8")).toBe("");
  await rm(file());
  trail.append({ event: "bind" });
  // Tried once more at the end.
  expect(await trail.close(LONG_MS)).toBe(0);
  expect(await eventsOf()).toEqual(["deploy", "bind"]);
});

test("entries that are lost at the end are counted", async () => {
  await symlink(join(folder, "elsewhere", "nowhere"), file());
  expect(await write(["deploy", "bind"])).toBe(2);
});

test("a flood drops what may be dropped, and says how much", async () => {
  const trail = new AuditTrail({ folder });
  for (let count = 0; count < 20_005; count += 1) trail.append({ event: "relay" }, { mayDrop: true });
  trail.append({ event: "sign" });
  expect(await trail.close(LONG_MS)).toBe(0);
  const tail = (await lines()).slice(-2).map((line) => JSON.parse(line) as object);
  expect(tail).toMatchObject([{ event: "sign" }, { event: "dropped", count: 5 }]);
  expect(await verifyAudit(folder)).toMatchObject({ lines: 20_002, findings: [] });
});

test("an entry that is too long for a line is left out, and said to be", async () => {
  const trail = new AuditTrail({ folder });
  trail.append({ event: "bind", target: "x".repeat(100_000) });
  await trail.close(LONG_MS);
  expect(JSON.parse((await lines())[0] ?? "")).toMatchObject({ event: "bind", omitted: "it was too long" });
});

test("a file that others could read is closed to them", async () => {
  await write(["deploy"]);
  await chmod(file(), 0o644);
  await write(["bind"]);
  expect((await stat(file())).mode & 0o777).toBe(0o600);
});
