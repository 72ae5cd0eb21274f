import type { LabProcess } from "../lab/lab-process.ts";
import { holdConnection } from "../support/byte-traffic.ts";
import type { FarsideRun } from "../support/farside.ts";
import { waitFor } from "../support/wait-for.ts";
import type { FaultLab } from "./fault-lab.ts";

/** Boundaries of a session's phases, in its order, as they can be seen from outside. */
export const phases = [
  /** sshd of the jump host has a connection. */
  "connecting",
  /** The card has taken the PIN; its signature for the jump host comes next. */
  "card-login",
  /** Logged in to the jump host; the agent is being sent. */
  "deploying",
  /** The agent has said hello; listeners and hops are being opened. */
  "opening",
  /** The card has signed for the hop. */
  "signed",
  /** Everything is open, nobody uses it. */
  "ready",
  /** Somebody does. */
  "relaying",
  /** SIGINT was sent, and an open relay holds the grace. */
  "draining",
  /** SIGINT was sent, and the agent has ended. */
  "verifying",
] as const;
export type Phase = (typeof phases)[number];

export interface Reached {
  /** Connections that are open through the forward. */
  readonly clients: readonly LabProcess[];
}

export const isBeforeReady = (phase: Phase): boolean => phases.indexOf(phase) < phases.indexOf("ready");
/** The operator has asked for the end. */
export const isEnding = (phase: Phase): boolean => phase === "draining" || phase === "verifying";

/** Resolves when `farside` is in `phase`, or a moment past it. */
export async function reach(phase: Phase, farside: FarsideRun, { lab, port }: FaultLab): Promise<Reached> {
  switch (phase) {
    case "connecting":
      await waitFor(
        async () => (await lab.jump.exec(["pgrep", "-f", "^sshd: .*(priv|accepted|net)"])).code === 0,
        {
          what: "a connection to the jump host's sshd",
          everyMs: 5,
        },
      );
      return { clients: [] };
    case "card-login":
      await farside.waitForEvent("card.login");
      return { clients: [] };
    case "deploying":
      await farside.waitForEvent("hop.connected", ({ leg }) => leg === "jump");
      return { clients: [] };
    case "opening":
      await farside.waitForEvent("agent.ready");
      return { clients: [] };
    case "signed":
      await farside.waitForEvent("sign");
      return { clients: [] };
    case "ready":
      await farside.ready();
      return { clients: [] };
    case "relaying": {
      await farside.ready();
      return { clients: [await holdConnection(lab.jump, port)] };
    }
    case "draining": {
      await farside.ready();
      const clients = [await holdConnection(lab.jump, port)];
      await farside.signal("SIGINT");
      return { clients };
    }
    case "verifying": {
      await farside.ready();
      await farside.signal("SIGINT");
      await waitFor(async () => (await lab.jump.exec(["pgrep", "-f", "^farside-agent"])).code !== 0, {
        what: "the end of the agent",
        everyMs: 5,
      });
      return { clients: [] };
    }
  }
}
