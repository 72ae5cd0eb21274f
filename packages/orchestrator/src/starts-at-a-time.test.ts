import { blackHole } from "@farside/ssh/testing";
import { afterAll, expect, it } from "vitest";
import { startSession } from "./deploy-and-forward.ts";
import { openIdentity } from "./identity-choice.ts";
import { SharedIdentity } from "./shared-identity.ts";
import { buildAgent } from "./testing/build-agent.ts";
import { startBuiltHost } from "./testing/built-host.ts";
import { eventsNamed } from "./testing/session-probe.ts";

const built = await startBuiltHost(buildAgent);
const { host } = built;
afterAll(() => built[Symbol.asyncDispose]());

it("a host that swallows packets delays no other, though one session starts at a time", async () => {
  await using hole = await blackHole();
  const own = host.options();
  const open = async () => (await openIdentity({ choice: own.identity as string, configs: [] })).identity;
  await using identity = await SharedIdentity.open(open, { startsAtATime: 1 });
  const patient = { identity, sshOptions: { ConnectTimeout: "100" }, startTimeoutMs: 100_000 };
  const deadOptions = host.options({ ...patient, jump: `${host.sshd.user}@127.0.0.1:${hole.port}` });
  await using dead = await startSession(deadOptions);
  dead.ready.catch(() => {});
  const options = Array.from({ length: 3 }, () => host.options(patient));
  const good = await Promise.all(options.map(startSession));
  await Promise.all(good.map(({ ready }) => ready));
  // As before: the one that does not answer is still waited for.
  expect(dead.state).toEqual({ phase: "connecting" });
  expect(identity.waitingSessions).toBe(0);
  const readyAt = options.map(({ events }) => Date.parse(eventsNamed(events, "ready")[0]?.at ?? ""));
  const connectedAt = options.map(({ events }) =>
    Date.parse(eventsNamed(events, "hop.connected")[0]?.at ?? ""),
  );
  // One after the other, as they were told.
  expect(connectedAt.slice(1).every((at, index) => at >= (readyAt[index] ?? Number.NaN))).toBe(true);
  for (const { receipt } of await Promise.all(good.map((session) => session.close())))
    expect(receipt).toMatchObject({ clean: true });
});
