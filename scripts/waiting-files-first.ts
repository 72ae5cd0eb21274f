import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Files that mostly wait, for a minute or so: last, they would be waited for alone. */
const WAITING = /\/test\/penalties\//;

/** Vitest's own order (what took longest the last time comes first), behind the files that mostly wait. */
export default class WaitingFilesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const waits = ({ moduleId }: TestSpecification) => WAITING.test(moduleId);
    return [...sorted.filter(waits), ...sorted.filter((file) => !waits(file))];
  }
}
