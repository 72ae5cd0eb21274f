import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const run = promisify(execFile);
const module = new URL("./small-young-generation.ts", import.meta.url).href;

/** Bytes that V8 has for its young generation after a burst of garbage. */
async function youngBytesAfterBurst(prelude: string): Promise<number> {
  const script = `${prelude}
    const v8 = await import("node:v8");
    let last = [];
    for (let burst = 0; burst < 40; burst += 1) last = Array.from({ length: 20_000 }, (_, i) => ({ burst, i }));
    console.log(last.length && v8.getHeapSpaceStatistics().find((s) => s.space_name === "new_space").space_size);`;
  const { stdout } = await run(process.execPath, [
    "--import",
    import.meta.resolve("tsx"),
    "--input-type=module",
    "-e",
    script,
  ]);
  return Number(stdout);
}

test("the young generation stays as small as it was, whatever garbage there is", async () => {
  const small = await youngBytesAfterBurst(`(await import("${module}")).keepYoungGenerationSmall();`);
  const usual = await youngBytesAfterBurst("");
  expect(usual).toBeGreaterThan(16_000_000);
  expect(small).toBeLessThan(10_000_000);
});
