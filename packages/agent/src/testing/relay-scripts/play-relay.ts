import { within } from "../within.ts";
import { judgeRelay } from "./judge-relay.ts";
import { Meeting } from "./meeting.ts";
import type { RelayRoute } from "./relay-route.ts";
import type { RelayScript } from "./relay-script.ts";
import { ScriptedEnd } from "./scripted-end.ts";

/** Longest that a script may take: its pauses are some ms each. */
const OVER_WITHIN_MS = 20_000;

/** Plays `script` on a relay of its own over `route`; what was not as it should be, a line each. */
export async function playRelay(route: RelayRoute, script: RelayScript): Promise<string[]> {
  const { client, service, relay } = await route.join();
  const meeting = new Meeting();
  const ends = {
    client: new ScriptedEnd("client", client, meeting),
    service: new ScriptedEnd("service", service, meeting),
  };
  try {
    const over = Promise.all([
      ends.client.play(script.client, ends.service, script.waiting === "client"),
      ends.service.play(script.service, ends.client, script.waiting === "service"),
      relay.closed,
      script.cutAfter === undefined ? undefined : cutAfter(script.cutAfter, relay),
    ]);
    const [clientSight, serviceSight, outcome] = await within(
      over,
      () => `it hangs: ${ends.client}; ${ends.service}; relay ${JSON.stringify(relay.bytes)}`,
      OVER_WITHIN_MS,
    );
    const sights = { client: clientSight, service: serviceSight };
    const { bytes } = relay;
    return judgeRelay({ script, sights, outcome, bytes, passesResets: route.kind === "TCP target" });
  } finally {
    relay.cut();
    for (const end of Object.values(ends)) end.destroy();
  }
}

async function cutAfter(turns: number, relay: { cut(): void }): Promise<void> {
  for (let count = 0; count < turns; count += 1) await new Promise(setImmediate);
  relay.cut();
}
