import { spawn } from "node:child_process";
import { readdir } from "node:fs/promises";
import { brotliCompressSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { bootstrap } from "./bootstrap.ts";

import { compressed, digest, nodeFolder, useLogin } from "./testing/started-bootstrap.ts";

const login = useLogin();

const { run } = login;

describe("the loader", () => {
  it("does not run a bundle that was altered on the way", async () => {
    const result = await run({
      upload: (bytes) => {
        const altered = Buffer.from(bytes);
        altered.writeUInt8(altered.readUInt8(altered.length - 1) ^ 1, altered.length - 1);
        return altered;
      },
    });
    expect([result.preamble, result.status]).toEqual(["digest-mismatch", 76]);
  });

  it("does not run another bundle that comes with its own digest", async () => {
    const other = bootstrap({ compressed: brotliCompressSync("evil"), digest: "0".repeat(64) });
    const result = await run({
      upload: (bytes) =>
        Buffer.concat([
          bytes.subarray(0, 64 + 15 + 32 + 1),
          Buffer.from(`${compressed.length} ${"0".repeat(64)}\n`),
          other.upload,
        ]),
    });
    expect(result.preamble).toBe("digest-mismatch");
  });

  it.each([
    ["stdin that ends early", (bytes: Buffer) => bytes.subarray(0, -1), "", /^loader-failed:stdin ended/],
    ["stdin without a marker", () => Buffer.alloc(70_000, "x"), "", /^loader-failed:no marker/],
    [
      "a false length",
      (bytes: Buffer) => Buffer.from(bytes.toString("latin1").replace(/ \d+ /, " 1e99 "), "latin1"),
      "",
      /^loader-failed:a false bundle length/,
    ],
  ])("reports %s", async (_, upload, frames, preamble) => {
    const result = await run({ upload, frames });
    expect(result.preamble).toMatch(preamble);
    expect(result.status).toBe(70);
  });

  it("leaves the agent what goes with its bundle", async () => {
    const made = bootstrap({ compressed, digest, opening: Buffer.from("opening ") });
    const child = spawn("/bin/sh", ["-c", made.command], {
      env: { PATH: `${nodeFolder}:/usr/bin:/bin`, HOME: login.home },
    });
    child.stdin.end(Buffer.concat([made.upload, Buffer.from("frames")]));
    const chunks: Buffer[] = [];
    for await (const chunk of child.stdout) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).toString()).toMatch(/\nopening frames$/);
  });

  it("writes nothing", async () => {
    expect((await run()).preamble).toBe("agent");
    expect(await readdir(login.home)).toEqual([]);
  });
});
