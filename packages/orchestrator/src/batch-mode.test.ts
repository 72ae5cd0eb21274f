import { afterAll, describe, expect, it } from "vitest";
import { startSession } from "./deploy-and-forward.ts";
import { planJumpLogin } from "./jump-login.ts";
import { buildAgent } from "./testing/build-agent.ts";
import { startBuiltHost } from "./testing/built-host.ts";
import { codeOf } from "./testing/session-probe.ts";

const built = await startBuiltHost(buildAgent);
const { host } = built;
afterAll(() => built[Symbol.asyncDispose]());

/** Asks about an unknown host key, and says yes. */
async function login(sshOptions: Record<string, string>) {
  const asked: unknown[] = [];
  const session = await startSession(
    host.options({
      ...{
        sshOptions,
        hostKeyCheck: "ask",
        knownHostsFiles: [host.sshd.folder.file(`none-${Math.random()}`)],
      },
      askHostKey: async (question) => asked.push(question) > 0,
    }),
  );
  const code = await codeOf(session.ready);
  await session.close();
  return { code, asked: asked.length };
}

describe("BatchMode of ssh_config", () => {
  it("lets nobody be asked about a host key: an unknown one is refused", async () => {
    expect(await login({ BatchMode: "yes" })).toEqual({ code: "host-key.unknown", asked: 0 });
    expect(await login({ BatchMode: "no" })).toEqual({ code: undefined, asked: 1 });
  });

  it("is told to whoever opens the identity", async () => {
    const plan = (sshOptions: Record<string, string>) =>
      planJumpLogin({ jump: "build", configFile: "none", sshOptions }, { onWarning: () => {} });
    expect((await plan({ BatchMode: "yes" })).isBatch).toBe(true);
    expect((await plan({})).isBatch).toBe(false);
  });
});
