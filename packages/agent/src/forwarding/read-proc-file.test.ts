import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { connect, serveTcp } from "../testing/tcp.ts";
import { readProcFile } from "./read-proc-file.ts";

describe("a file of /proc", () => {
  test("is read to its end, however many pieces it comes in", async () => {
    await using server = await serveTcp();
    const clients = await Promise.all(
      Array.from({ length: 300 }, () => connect({ host: "127.0.0.1", port: server.port })),
    );
    const port = server.port.toString(16).toUpperCase().padStart(4, "0");
    const text = (await readProcFile("/proc/net/tcp")).toString();
    // A line may come twice while others of its hash bucket come and go.
    expect(new Set(text.match(new RegExp(`0100007F:${port} 0100007F:\\w+`, "g"))).size).toBe(300);
    for (const client of clients) client.destroy();
  });

  test("that fits one piece is read, too", async () => {
    expect(await readProcFile("/proc/version")).toEqual(readFileSync("/proc/version"));
  });

  test("that is not there is an error", async () => {
    await expect(readProcFile("/proc/no-such-file")).rejects.toMatchObject({ code: "ENOENT" });
  });
});
