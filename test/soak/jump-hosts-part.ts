import { startLab } from "../lab/lab.ts";
import { holdJumpHosts } from "../scale/hold-jump-hosts.ts";
import { ECHO_PORT } from "../scale/measured-session.ts";
import { startEcho } from "../support/echo-service.ts";
import type { Lag } from "../support/event-loop-lag.ts";
import { megabytes, type ProcessUsage } from "../support/process-usage.ts";
import type { SoakPart } from "./part.ts";

const HOSTS = 100;
const HOLD_MS = 60_000;
/** What a real card takes for an RSA signature. */
const SIGNATURE_MS = 250;

/** 100 jump hosts, one program, one card. The seed is not used; `scale` makes them fewer, and the time for which they are held. */
export const jumpHostsPart: SoakPart = async ({ scale, say }) => {
  await using lab = await startLab();
  await using _echo = await startEcho(lab.target, ECHO_PORT);
  let last = "";
  const report = await holdJumpHosts({
    ...{
      lab,
      count: Math.ceil(HOSTS * Math.min(scale, 1)),
      holdMs: HOLD_MS * scale,
      signatureMs: SIGNATURE_MS,
    },
    say: (line) => {
      if (line !== last) say(line);
      last = line;
    },
  });
  const {
    hosts,
    startSeconds,
    againSeconds,
    endSeconds,
    pinEntries,
    signatures,
    usage,
    lag,
    queueLines,
    problems,
  } = report;
  const perHost = (usage.held.own - usage.before.own) / hosts;
  const table = [
    `${hosts} jump hosts with an sshd and a host key each, one target behind all of them whose sshd turns away more than ten logins at a time, one virtual card`,
    `(RSA 2048, ${SIGNATURE_MS} ms and more for a signature). All were open after ${startSeconds.toFixed(0)} s and torn down ${endSeconds.toFixed(0)} s after SIGINT, each with a clean receipt: ${pinEntries} PIN entry, ${signatures} signatures.`,
    `When the target's sshd was restarted, all hops were there again after ${againSeconds.toFixed(0)} s, and it turned none of their logins away.`,
    `That signatures wait for the card was told ${queueLines.length} times. Each session costs the program ${megabytes(perHost)} of its own.`,
    "",
    "| the program | resident | of its own | descriptors |",
    "| --- | --- | --- | --- |",
    `| card open, no session | ${cells(usage.before)} |`,
    `| all sessions open, ${(HOLD_MS * scale) / 1000} s later | ${cells(usage.held)} |`,
    "",
    "| its event loop was late by | 99 % of the time less than | at most |",
    "| --- | --- | --- |",
    ...(["starting", "held", "ending"] as const).map((phase) => `| ${phase} | ${late(lag[phase])} |`),
  ].join("\n");
  const isUntold = queueLines.length === 0 && hosts > 10;
  const untold = isUntold ? ["that signatures wait for the card was not told"] : [];
  return { problems: [...problems, ...untold], table, page: { path: "docs/reliability.md", kind: "place" } };
};

const cells = ({ rss, own, descriptors }: ProcessUsage): string =>
  `${megabytes(rss)} | ${megabytes(own)} | ${descriptors}`;
const late = ({ p99, max }: Lag): string => `${p99.toFixed(0)} ms | ${max.toFixed(0)} ms`;
