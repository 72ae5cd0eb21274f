import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { connect, serveTcp } from "../testing/tcp.ts";
import { ProcTable } from "./proc-table.ts";

async function textOf(table: ProcTable, options = {}): Promise<string> {
  let text = "";
  await table.read((lines) => {
    expect(lines.at(-1)).toBe(0x0a);
    text += lines.toString();
    return false;
  }, options);
  return text;
}

describe("a table of /proc", () => {
  test("is read to its end, however many pieces it comes in, and anew each time", async () => {
    await using server = await serveTcp();
    const port = server.port.toString(16).toUpperCase().padStart(4, "0");
    const table = new ProcTable("/proc/net/tcp");
    const clients = [];
    for (const count of [1, 120, 121, 122, 123, 300]) {
      while (clients.length < count) clients.push(await connect({ host: "127.0.0.1", port: server.port }));
      for (const toItsEnd of [false, true]) {
        const text = await textOf(table, { toItsEnd });
        // A line may come twice while others of its hash bucket come and go.
        const rows = new Set(text.match(new RegExp(`0100007F:${port} 0100007F:\\w+`, "g")));
        expect(rows.size).toBe(count);
      }
    }
    await table.close();
    await table.close();
    for (const client of clients) client.destroy();
    await expect(textOf(table)).rejects.toThrow("closed");
  });

  test("is read no further than it is wanted", async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), "proc-table-"));
    try {
      const lines = Array.from({ length: 20_000 }, (_, index) => `line ${index}\n`).join("");
      await writeFile(path.join(folder, "table"), lines);
      const table = new ProcTable(path.join(folder, "table"));
      expect(await textOf(table)).toBe(lines);
      let pieces = 0;
      await table.read(() => {
        pieces += 1;
        return true;
      });
      expect(pieces).toBe(1);
      await table.close();
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("that is not there is an error, each time", async () => {
    const table = new ProcTable("/proc/no-such-file");
    await expect(textOf(table)).rejects.toMatchObject({ code: "ENOENT" });
    await expect(textOf(table)).rejects.toMatchObject({ code: "ENOENT" });
    await table.close();
  });
});
