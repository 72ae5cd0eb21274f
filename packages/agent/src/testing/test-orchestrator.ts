import {
  type EventDefinition,
  type EventHandler,
  eventsToOrchestrator,
  handle,
  type OrchestratorHello,
  on,
  type RequestHandler,
  type SignParams,
  signWithIdentity,
} from "@farside/protocol";

/** A hand-written orchestrator's hello, as far as a test does not say it itself. */
export function testHello(session: string, hello: Partial<OrchestratorHello> = {}): OrchestratorHello {
  return {
    ...{ protocol: 1, session, leaseMs: 60_000, ttlMs: 0, idleMs: 0, logLevel: "debug", capabilities: [] },
    ...hello,
  };
}

/** Answers `identity.sign` with what `sign` makes; without it nothing is signed. */
export function signsWith(sign: ((params: SignParams) => Promise<Uint8Array>) | undefined): RequestHandler {
  return handle(signWithIdentity, async (params) => {
    if (sign === undefined) throw new Error("nothing signs here");
    return { signature: await sign(params) };
  });
}

/** Takes every event of an agent. */
export function hearing(hear: (definition: EventDefinition, data: unknown) => void): EventHandler[] {
  return eventsToOrchestrator.map((definition) =>
    on(definition as EventDefinition, (data) => hear(definition, data)),
  );
}
