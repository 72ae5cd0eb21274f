import type { BuiltAgent } from "./build-agent.ts";
import { type JumpHost, startJumpHost } from "./jump-host.ts";

/** What the tests of a file share; whoever starts it disposes of it after them. */
export interface BuiltHost<Agent extends BuiltAgent> extends AsyncDisposable {
  readonly agent: Agent;
  readonly host: JumpHost;
}

/** An agent, made of the source as it is now, and a jump host whose sessions take it. */
export async function startBuiltHost<Agent extends BuiltAgent>(
  build: () => Promise<Agent>,
): Promise<BuiltHost<Agent>> {
  const agent = await build();
  const host = await startJumpHost(agent.bundle);
  return {
    ...{ agent, host },
    async [Symbol.asyncDispose]() {
      await host[Symbol.asyncDispose]();
      await agent[Symbol.asyncDispose]();
    },
  };
}
