import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeLab } from "../support/describe-lab.ts";
import { sample } from "./cells.ts";
import { MatrixLab } from "./matrix-lab.ts";
import { nameOf } from "./report.ts";
import { checkHost } from "./run-all.ts";
import { runCell } from "./run-cell.ts";

/** The whole matrix is `npm run matrix`. */
describeLab("a sample of the host matrix", () => {
  let matrix: MatrixLab;
  beforeAll(async () => {
    matrix = await MatrixLab.start(sample);
  });
  afterAll(() => matrix?.[Symbol.asyncDispose]());

  describe.concurrent("each cell ends as its table says", () => {
    for (const cell of sample) {
      test(nameOf(cell), async ({ expect }) => {
        const { problems, transcript } = await runCell(matrix, cell);
        expect(problems, transcript).toEqual([]);
      });
    }
  });

  test("with one connection each, and nothing left on the host", async () => {
    expect(await checkHost(matrix, sample)).toEqual([]);
  });
});
