import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { replaceFile } from "./replace-file.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "farside-replace-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("a file that is replaced", () => {
  test("has the new content, for its user only, and no other beside it", async () => {
    const file = path.join(folder, "config");
    await writeFile(file, "old", { mode: 0o644 });
    await writeFile(`${file}.new`, "half of what was to c");
    await replaceFile(file, "new");
    expect(await readFile(file, "utf8")).toBe("new");
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toEqual(["config"]);
  });

  test("leaves nothing beside it where it can't be", async () => {
    const file = path.join(folder, "config");
    await mkdir(path.join(file, "full"), { recursive: true });
    await expect(replaceFile(file, "new")).rejects.toMatchObject({ code: "EISDIR" });
    expect(await readdir(folder)).toEqual(["config"]);
  });

  test("says what the host does not let it do, and what helps", async () => {
    // Nobody makes a file there, not even root; in a container it is read-only.
    await expect(replaceFile("/sys/config", "new")).rejects.toMatchObject({
      ...{ code: "agent.unsupported-host", leg: "jump", hint: expect.stringMatching(/\S/) },
      message: expect.stringMatching(
        /^writing \/sys\/config: (permission denied|.*not permitted|.*read-only)$/,
      ),
    });
  });
});
