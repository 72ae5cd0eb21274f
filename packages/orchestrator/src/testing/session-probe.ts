import { connect } from "node:net";
import type { SessionEvent } from "@farside/protocol";
import type { Session } from "../session.ts";

/** The port of a session's first forward. */
export function boundPort(session: Session): number {
  const [address] = session.forwards[0]?.bound ?? [];
  if (address === undefined || address.kind === "unix") throw new Error("no port");
  return address.port;
}

/** What comes back for `text` and an end; rejects where the connection fails. */
export async function exchange(to: number | string, text: string): Promise<string> {
  const socket = typeof to === "number" ? connect(to, "127.0.0.1") : connect(to);
  socket.end(text);
  let answer = "";
  for await (const chunk of socket) answer += String(chunk);
  return answer;
}

export function eventsNamed<E extends SessionEvent["event"]>(events: readonly SessionEvent[], name: E) {
  return events.filter((event): event is Extract<SessionEvent, { event: E }> => event.event === name);
}

/** The code that `promise` rejects with; undefined where it resolves. */
export async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  return promise.then(
    () => undefined,
    (error) => error.code,
  );
}
