import type { Options } from "yargs";
import { once, wholeNumber } from "./values.ts";

/** What only a session without a command can have. */
export const residentOptions = {
  reattach: {
    type: "boolean",
    group: "Session:",
    describe: "Outlive a lost connection: go on for --lease, log in again and go on with what is open",
  },
  detach: {
    type: "boolean",
    group: "Session:",
    describe: "Leave it running once it is ready, for what is left of --ttl, and print the session's name",
  },
  "metrics-port": {
    ...{ type: "string", requiresArg: true },
    group: "Session:",
    describe:
      "With --reattach or --detach: loopback port of JUMP for GET /metrics and /healthz (0: a free one), for the login's user and root",
    coerce: once("--metrics-port", wholeNumber(0, 65_535)),
  },
} as const satisfies Record<string, Options>;
