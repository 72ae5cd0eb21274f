import type { SessionEvent } from "@farside/protocol";
import type { Identity, SignRequest } from "@farside/ssh";
import { describe, expect, it } from "vitest";
import type { SessionEventDraft } from "./event-log.ts";
import { SharedIdentity } from "./shared-identity.ts";

const request = { data: Buffer.from("data"), algorithm: "ssh-ed25519" } as unknown as SignRequest;

function cardOf(asked: SignRequest[], onClose = () => {}): Identity {
  const close = async () => onClose();
  return {
    kind: "card",
    publicKeys: async () => [],
    ready: async () => {},
    sign: async (sign) => {
      asked.push(sign);
      return Buffer.from("signature");
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

describe("SharedIdentity", () => {
  it("signs for each session in its name, and closes the identity once its owner does, not a session", async () => {
    const asked: SignRequest[] = [];
    let closed = 0;
    const shared = await SharedIdentity.open(() => cardOf(asked, () => (closed += 1)));
    const [one, two] = ["one", "two"].map((session) => shared.lend({ session, emit: () => {} }));
    await one?.sign(request);
    await two?.sign(request);
    expect(asked.map(({ asker, data }) => [asker, data])).toEqual([
      ["one", request.data],
      ["two", request.data],
    ]);
    await one?.close();
    expect(closed).toBe(0);
    await shared.close();
    expect(closed).toBe(1);
  });

  it("tells the sessions that use it of the card's logins and whereabouts, and its owner everything, once", async () => {
    let emit: (event: SessionEventDraft) => void = () => {};
    const heard: SessionEvent["event"][] = [];
    const shared = await SharedIdentity.open(
      (context) => {
        emit = context.emit;
        return cardOf([]);
      },
      { onEvent: ({ event }) => heard.push(event) },
    );
    const told: string[] = [];
    const lent = ["one", "two"].map((session) =>
      shared.lend({ session, emit: ({ event }) => told.push(`${session} ${event}`) }),
    );
    emit({ event: "card.login", token: "desk", key: "9a", pinEntries: 1 });
    emit({ event: "warning", message: "touch it", leg: "card" });
    await lent[0]?.close();
    emit({ event: "card.state", token: "desk", state: "removed" });
    expect(heard).toEqual(["card.login", "warning", "card.state"]);
    expect(told).toEqual(["one card.login", "two card.login", "two card.state"]);
  });

  it("gives as many turns at a time as it was told, and refuses to be told nonsense", async () => {
    const shared = await SharedIdentity.open(() => cardOf([]), { startsAtATime: 1 });
    const [first, second] = [shared.turn(), shared.turn()];
    await first.take("logging in");
    const taken = second.take("logging in");
    expect(shared.waitingSessions).toBe(1);
    first.end();
    await taken;
    expect(shared.waitingSessions).toBe(0);
    for (const startsAtATime of [0, 1.5, Number.NaN])
      await expect(SharedIdentity.open(() => cardOf([]), { startsAtATime })).rejects.toMatchObject({
        code: "usage.invalid",
      });
  });
});
