import type { CommandContext } from "../command-context.ts";
import type { LogLevel } from "./describe-event.ts";
import { LineSink } from "./line-sink.ts";
import { PeopleReporter } from "./people-reporter.ts";
import { hasColor } from "./write-error.ts";

/** The reporter for people on stderr. With `--json` they get warnings and errors only: the rest is on stdout. `mayBeLive`: on a terminal, with a live line. */
export function peopleReporter(
  argv: {
    readonly json?: boolean | undefined;
    readonly detach?: boolean | undefined;
    readonly "log-level"?: LogLevel | undefined;
  },
  { stderr, env }: CommandContext,
  mayBeLive = true,
): PeopleReporter {
  const level = argv["log-level"] ?? (argv.json === true ? "warn" : "info");
  const isTerminal = stderr.isTTY === true && env["TERM"] !== "dumb";
  const isLive = mayBeLive && isTerminal && argv.json !== true && level !== "debug";
  return new PeopleReporter({
    sink: new LineSink(stderr),
    terminal: isLive ? stderr : undefined,
    color: hasColor(stderr, env),
    level,
    isLeft: argv.detach,
  });
}
