import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { makeFolders } from "./make-folders.ts";

let home: string;
beforeEach(async () => {
  home = await mkdtemp(path.join(os.tmpdir(), "fs-folders-"));
});
afterEach(() => rm(home, { recursive: true, force: true }));

describe("the folders of an installed agent", () => {
  test("are made where they are missing, private, and told outermost first", async () => {
    const wanted = [`${home}/share/farside`, `${home}/share/farside/build`, `${home}/units`];
    const made = [`${home}/share`, ...wanted];
    expect(await makeFolders(wanted)).toEqual(made);
    for (const folder of made) expect((await stat(folder)).mode & 0o777).toBe(0o700);
    expect(await makeFolders(wanted)).toEqual([]);
  });

  test("are not left where one of them can't be made", async () => {
    await writeFile(`${home}/config`, "no folder");
    const wanted = [`${home}/share/farside/build`, `${home}/config/systemd/user`];
    await expect(makeFolders(wanted)).rejects.toMatchObject({ code: "ENOTDIR" });
    expect(await readdir(home)).toEqual(["config"]);
  });
});
