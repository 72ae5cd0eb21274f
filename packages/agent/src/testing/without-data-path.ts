import { Hop } from "@farside/ssh";
import { onTestFinished, vi } from "vitest";

/** Until the test is over, hops have no data path, as with an ssh2 that is another one: relays go through its channels. */
export function withoutDataPath(): void {
  vi.spyOn(Hop.prototype, "dataPath", "get").mockReturnValue(undefined);
  vi.spyOn(Hop.prototype, "noDataPath", "get").mockReturnValue("ssh2 is another one");
  onTestFinished(() => void vi.restoreAllMocks());
}
