import { PassThrough } from "node:stream";
import type { AgentEndReason } from "@farside/protocol";
import { expect, test } from "vitest";
import { readHostFacts } from "./host-facts.ts";
import { Log } from "./log.ts";
import { SessionAgent } from "./session-agent.ts";
import { newRun } from "./testing/new-run.ts";

/** How often an agent that ends for `reason` has ended its own login. */
async function loginsEnded(reason: AgentEndReason): Promise<number> {
  let count = 0;
  const stdin = new PassThrough();
  const agent = new SessionAgent({
    boot: { nonce: newRun(), digest: "ab".repeat(32) },
    ...{ stdin, stdout: new PassThrough().resume() },
    facts: readHostFacts(),
    log: new Log(new PassThrough().resume()),
    environment: {},
    endOwnLogin: async () => {
      count += 1;
    },
  });
  agent.end({ reason });
  // The orchestrator's answer to the end.
  stdin.end();
  expect(await agent.ended).toEqual({ reason });
  return count;
}

test("an agent ends its own login when its lease has expired, and else leaves it to who logged in", async () => {
  const others = ["stopped", "stdin-ended", "ttl", "idle", "signal", "fatal"] as const;
  expect(await loginsEnded("lease-expired")).toBe(1);
  expect(await Promise.all(others.map(loginsEnded))).toEqual([0, 0, 0, 0, 0, 0]);
});
