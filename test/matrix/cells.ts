import type { Cell, Fails, Noise, Runtime, Server, Shell, Trait, Works } from "./cell.ts";
import { homes } from "./homes.ts";
import { nodeVersion } from "./node-builds.ts";
import { noises } from "./noises.ts";
import { runtimes } from "./runtimes.ts";
import { servers } from "./servers.ts";
import { shells } from "./shells.ts";
import { policies } from "./sshd-policies.ts";

type Axes = {
  readonly shell: Shell;
  readonly noise: Noise;
  readonly home: Trait;
  readonly policy: Trait;
  readonly runtime: Runtime;
  readonly server: Server;
};
type Row = readonly [expect: Works | Fails, axes: Partial<Axes>];

const usual: Axes = {
  shell: shells.bash,
  noise: noises.quiet,
  home: homes.usual,
  policy: policies.usual,
  runtime: runtimes.system,
  server: servers.debian12,
};
const works: Works = {};
const { bash, dash, zsh, fish, tcsh, ksh } = shells;

const refusedCommand = (says: RegExp): Fails => ({ code: "agent.command-refused", leg: "jump", says });
const brokenProtocol = (says: RegExp): Fails => ({
  ...{ code: "protocol.bad-message", leg: "jump", says },
  knownAfterMs: 2_000,
});
const readsStdin: Fails = {
  ...{ code: "agent.start-failed", leg: "jump", says: /standard input/ },
  knownAfterMs: 2_000,
};
const forbidden: Fails = { code: "forward.forbidden-by-policy", leg: "jump", says: /--respect-sshd-policy/ };

const quietShells: Row[] = Object.values(shells)
  .filter(
    ({ path }) =>
      /sh$|ksh93$|elvish|rc$/.test(path) && path !== shells.rbash.path && path !== shells.missing.path,
  )
  .map((shell) => [works, { shell }]);

const shellsThatRefuse: Row[] = [
  [refusedCommand(/rbash|restricted/), { shell: shells.rbash }],
  [refusedCommand(/not available/), { shell: shells.nologin }],
  [refusedCommand(/exited with 1/), { shell: shells.false }],
  [refusedCommand(/SyntaxError/), { shell: shells.python }],
  [{ code: "hop.auth-refused", leg: "jump" }, { shell: shells.missing }],
];

/** A noise in each of these shells' own language. */
const inShells = (expect: Works | Fails, noise: Noise, list: readonly Shell[]): Row[] =>
  list.map((shell) => [expect, { shell, noise }]);

const noisy: Row[] = [
  ...inShells({ shows: /Welcome.*no newline/ }, noises.prints, [bash, zsh, fish, tcsh]),
  ...inShells({ shows: /Welcome.*no newline/ }, noises.prints, [dash, ksh, shells.rc]),
  ...inShells({ shows: /not a tty/ }, noises.printsToStderr, [bash, zsh, tcsh]),
  ...inShells(works, noises.sleeps, [bash, fish, ksh]),
  ...inShells(works, noises.fails, [bash, zsh, fish, tcsh]),
  ...inShells(refusedCommand(/exited with 3/), noises.exits, [bash, zsh]),
  // There, exit ends the file and not the shell.
  ...inShells(works, noises.exits, [fish, tcsh]),
  ...inShells(works, noises.readsLine, [bash, zsh, fish, tcsh]),
  ...inShells(readsStdin, noises.readsAll, [bash, zsh, fish, tcsh]),
  ...inShells(brokenProtocol(/late/), noises.writesLate, [bash, fish, tcsh]),
  ...inShells(works, noises.writesLateToStderr, [bash, tcsh]),
  ...inShells(works, noises.staysOpen, [bash, zsh]),
  ...inShells(works, noises.umask, [bash, fish, tcsh]),
  [works, { noise: noises.detaches }],
  [brokenProtocol(/stray \\x1b\]0;title\\x07 bytes/), { noise: noises.strays }],
  [brokenProtocol(/ok\\n/), { noise: noises.strayBytes }],
  [{ shows: /\\x1b\[31mred/ }, { noise: noises.motd }],
  [{ shows: /authorized use only/ }, { noise: noises.banner }],
  [{ shows: /xxxx/ }, { noise: noises.much }],
  [{ code: "protocol.no-preamble", leg: "jump", says: /xxxx/ }, { noise: noises.tooMuch }],
  [
    { code: "protocol.no-preamble", leg: "jump", says: /noise/, isUnlookable: true },
    { noise: noises.endless },
  ],
  [works, { noise: noises.binary }],
  [works, { noise: noises.bashEnv }],
  [{ node: nodeVersion("22") }, { noise: noises.bashEnv, runtime: runtimes.wrapper }],
  [refusedCommand(/./), { noise: noises.execsShell }],
  [works, { noise: noises.emptyPath }],
  [works, { noise: noises.nodeOptions }],
  [works, { noise: noises.preload }],
  [works, { noise: noises.fewFiles }],
  [works, { noise: noises.fewProcesses }],
  [
    // A shell that can start nothing can't look either.
    { code: "agent.start-failed", leg: "jump", says: /threads.*ulimit -u/, isUnlookable: true },
    { noise: noises.tooFewProcesses },
  ],
  [works, { noise: noises.clockBehind }],
  [works, { noise: noises.clockAhead }],
  [{ code: "agent.start-failed", leg: "jump", says: /memory/i }, { noise: noises.littleMemory }],
  [works, { noise: noises.elsewhere }],
  [{ shows: /before/ }, { noise: noises.exitTrap }],
];

const poorHomes: Row[] = Object.values(homes)
  .filter((home) => home !== homes.usual)
  .map((home) => [works, { home }]);

const strictSshds: Row[] = [
  [works, { policy: policies.oneSession }],
  [works, { policy: policies.oneSession, noise: noises.staysOpen }],
  [
    // No second command may ask why: it takes as long as a start may take.
    { code: "timeout", says: /has not come to the command/, knownAfterMs: 4_000 },
    {
      noise: noises.readsAll,
      policy: { ...policies.oneSession, args: ["--start-timeout", "4s"] },
    },
  ],
  [{ code: "hop.channel-refused", leg: "jump", says: /MaxSessions/ }, { policy: policies.noSession }],
  [works, { policy: policies.noForwarding }],
  [forbidden, { policy: policies.noForwardingRespected }],
  [works, { policy: policies.forwardingRespected }],
  [works, { policy: policies.permitOpenRespected }],
  [forbidden, { policy: policies.permitOpenElsewhereRespected }],
  [works, { policy: policies.disableForwarding }],
  [forbidden, { policy: policies.disableForwardingRespected }],
  [works, { policy: policies.noTty }],
  [works, { policy: policies.restrict }],
  [forbidden, { policy: policies.restrictRespected }],
  [works, { policy: policies.noForwardingKey }],
  [refusedCommand(/ForceCommand|command=/), { policy: policies.keyCommand }],
  [{ code: "hop.auth-refused", leg: "jump" }, { policy: policies.keyFrom }],
  [refusedCommand(/ForceCommand/), { policy: policies.forceDate }],
  [refusedCommand(/only backups here/), { policy: policies.forceFails }],
  [refusedCommand(/./), { policy: policies.forceSftp }],
  [{ code: "protocol.no-preamble", leg: "jump", isUnlookable: true }, { policy: policies.forceCat }],
  [
    { code: "timeout", knownAfterMs: 4_000, isUnlookable: true },
    // It takes as long as a start may take, and then the whole look at such a host is waited for.
    { policy: { ...policies.forceSilent, args: ["--start-timeout", "3s"] } },
  ],
  [works, { policy: policies.forceWrapper }],
  [refusedCommand(/./), { policy: policies.chroot }],
  [works, { policy: policies.noSftp }],
  [works, { policy: policies.rekey }],
  [works, { policy: policies.clientAlive }],
  [{ code: "hop.auth-refused", leg: "jump" }, { policy: policies.refused }],
];

const on22: Works = { node: nodeVersion("22") };
const foundNodes: Row[] = [
  [on22, { runtime: runtimes.nodejs }],
  [on22, { runtime: runtimes.nvm }],
  [on22, { runtime: runtimes.nvm, shell: fish }],
  [on22, { runtime: runtimes.fnm }],
  [on22, { runtime: runtimes.volta }],
  [on22, { runtime: runtimes.asdf }],
  [on22, { runtime: runtimes.asdfShim }],
  [on22, { runtime: runtimes.mise }],
  [on22, { runtime: runtimes.n }],
  [on22, { runtime: runtimes.unpacked }],
  [{ node: nodeVersion("24") }, { runtime: runtimes.newest }],
  [on22, { runtime: runtimes.oldInPath }],
  [on22, { runtime: runtimes.nvm, home: homes.noexec }],
  [{ code: "agent.runtime-too-old", leg: "jump", says: /16\.20\.2/ }, { runtime: runtimes.oldOnly }],
  [{ code: "agent.no-runtime", leg: "jump", says: /--remote-node/ }, { runtime: runtimes.none }],
  [{ code: "agent.no-runtime", leg: "jump", says: /does not run/ }, { runtime: runtimes.crashes }],
  [{ code: "agent.start-failed", leg: "jump", says: /cannot allocate/ }, { runtime: runtimes.crashesLater }],
  [{ code: "agent.no-runtime", leg: "jump", says: /does not run/ }, { runtime: runtimes.otherMachine }],
  [
    { code: "timeout", says: /node/i, knownAfterMs: 3_000 },
    { runtime: { ...runtimes.hangs, args: ["--start-timeout", "3s"] } },
  ],
  [{ ...on22, shows: /using node 22/ }, { runtime: runtimes.wrapper }],
  [{ code: "agent.runtime-too-old", leg: "jump" }, { runtime: runtimes.node16 }],
  [{ node: nodeVersion("18") }, { runtime: runtimes.node18 }],
  [{ node: nodeVersion("20") }, { runtime: runtimes.node20 }],
  [{ node: nodeVersion("22") }, { runtime: runtimes.node22 }],
  [{ node: nodeVersion("24") }, { runtime: runtimes.node24 }],
  [{ node: nodeVersion("26") }, { runtime: runtimes.node26 }],
  [{ code: "agent.no-runtime", leg: "jump", says: /\/nowhere\/node/ }, { runtime: runtimes.wrongPath }],
];

const nowhere = (says: RegExp): Fails => ({
  ...{ code: "agent.start-failed", leg: "jump", says },
  // It is sent before, or at least looked at on the workstation.
  knownAfterMs: 6_000,
});
const { sent } = runtimes;
/** Without a Node.js: one is sent, with one login all the same, and nothing of it is left. */
const sentNodes: Row[] = [
  ...[bash, dash, zsh, fish, tcsh, ksh, shells.mksh, shells.yash, shells.busybox].map(
    (shell): Row => [on22, { runtime: sent, shell }],
  ),
  [on22, { runtime: runtimes.sentForOld }],
  [on22, { runtime: runtimes.sentForCrashing }],
  [on22, { runtime: runtimes.sentAlways }],
  [on22, { runtime: runtimes.kept }],
  [
    { ...on22, shows: /Welcome.*no newline/ },
    { runtime: sent, noise: noises.prints },
  ],
  [
    { ...on22, shows: /Welcome.*no newline/ },
    { runtime: sent, noise: noises.prints, shell: tcsh },
  ],
  [on22, { runtime: sent, noise: noises.readsLine }],
  [on22, { runtime: sent, noise: noises.readsLine, shell: zsh }],
  [on22, { runtime: sent, noise: noises.umask }],
  [on22, { runtime: sent, noise: noises.staysOpen }],
  [on22, { runtime: sent, noise: noises.exitTrap }],
  [on22, { runtime: sent, noise: noises.preload }],
  [on22, { runtime: sent, noise: noises.elsewhere }],
  [
    { ...brokenProtocol(/late/), knownAfterMs: 6_000 },
    { runtime: sent, noise: noises.writesLate },
  ],
  [readsStdin, { runtime: sent, noise: noises.readsAll }],
  [nowhere(/no folder.*no room/), { runtime: sent, noise: noises.smallFiles }],
  [nowhere(/memory/i), { runtime: sent, noise: noises.littleMemory }],
  ...[homes.noexec, homes.full, homes.missing, homes.noInodes, homes.closed, homes.noTmp, homes.noShm].map(
    (home): Row => [on22, { runtime: sent, home }],
  ),
  [on22, { runtime: sent, home: homes.onlyHomeExecutes }],
  [
    nowhere(/\/tmp: can not execute.*\/home\/m\d+: can not execute/),
    { runtime: sent, home: homes.noexecHost },
  ],
  [nowhere(/\/tmp: no room/), { runtime: sent, home: homes.fullHost }],
  [nowhere(/\/tmp: not writable/), { runtime: sent, home: homes.readOnlyHost }],
  [on22, { runtime: sent, policy: policies.oneSession }],
  [on22, { runtime: sent, policy: policies.disableForwarding }],
  [on22, { runtime: sent, policy: policies.restrict }],
  [on22, { runtime: sent, policy: policies.forceWrapper }],
  [on22, { runtime: sent, policy: policies.rekey }],
  [on22, { runtime: sent, policy: policies.poorChroot }],
  [
    { code: "agent.unsupported-host", leg: "jump", says: /C library is musl.*needs glibc.*musl 1\.\d/ },
    { runtime: sent, policy: policies.muslChroot },
  ],
  [
    on22,
    { runtime: sent, shell: fish, noise: noises.prints, home: homes.noexec, policy: policies.oneSession },
  ],
];

const { ownSsh } = runtimes;
const noLending = (says: RegExp): Fails => ({ code: "engine.forwarding-refused", leg: "jump", says });
/** Neither a Node.js nor room for one: the supervisor of the host's own ssh meets the same logins. */
const ownSshs: Row[] = [
  ...[bash, dash, zsh, fish, tcsh, ksh, shells.mksh, shells.yash, shells.rc, shells.busybox].map(
    (shell): Row => [works, { runtime: ownSsh, shell }],
  ),
  [refusedCommand(/rbash|restricted/), { runtime: ownSsh, shell: shells.rbash }],
  [refusedCommand(/not available/), { runtime: ownSsh, shell: shells.nologin }],
  ...[bash, fish, tcsh].map(
    (shell): Row => [{ shows: /Welcome.*no newline/ }, { runtime: ownSsh, noise: noises.prints, shell }],
  ),
  [works, { runtime: ownSsh, noise: noises.sleeps }],
  [works, { runtime: ownSsh, noise: noises.readsLine, shell: tcsh }],
  [readsStdin, { runtime: ownSsh, noise: noises.readsAll }],
  // Its lines have a mark each: others between them do no harm.
  [works, { runtime: ownSsh, noise: noises.writesLateToStderr }],
  [works, { runtime: ownSsh, noise: noises.staysOpen }],
  [works, { runtime: ownSsh, noise: noises.umask }],
  [works, { runtime: ownSsh, noise: noises.emptyPath }],
  [works, { runtime: ownSsh, noise: noises.bashEnv }],
  [works, { runtime: ownSsh, noise: noises.elsewhere }],
  [works, { runtime: ownSsh, noise: noises.detaches }],
  ...[homes.readOnly, homes.missing, homes.full].map((home): Row => [works, { runtime: ownSsh, home }]),
  [works, { runtime: ownSsh, policy: policies.oneSession }],
  [works, { runtime: ownSsh, policy: policies.noForwarding }],
  [
    noLending(/DisableForwarding|AllowAgentForwarding/),
    { runtime: ownSsh, policy: policies.disableForwarding },
  ],
  [noLending(/AllowAgentForwarding/), { runtime: ownSsh, policy: policies.restrict }],
  [refusedCommand(/ForceCommand/), { runtime: ownSsh, policy: policies.forceDate }],
];

/** Several things at once, as old and locked-down hosts have them. */
const combined: Row[] = [
  [
    works,
    {
      shell: tcsh,
      noise: noises.prints,
      home: homes.readOnly,
      policy: policies.oneSession,
      runtime: runtimes.node18,
    },
  ],
  [
    works,
    {
      shell: zsh,
      noise: noises.readsLine,
      home: homes.full,
      policy: policies.disableForwarding,
      runtime: runtimes.node24,
    },
  ],
  [works, { shell: fish, noise: noises.sleeps, home: homes.noexec, policy: policies.restrict }],
  [
    works,
    {
      shell: dash,
      noise: noises.prints,
      home: homes.noInodes,
      policy: policies.noTty,
      runtime: runtimes.node26,
    },
  ],
  [
    { code: "agent.no-runtime", leg: "jump" },
    {
      shell: ksh,

      home: homes.missing,
      policy: policies.oneSession,
      runtime: runtimes.none,
    },
  ],
  [readsStdin, { noise: noises.readsAll, policy: policies.disableForwarding, home: homes.full }],
];

const otherServers: Row[] = [
  ...[servers.debian11, servers.debian13].flatMap((server): Row[] => [
    [works, { server }],
    [{ shows: /Welcome.*no newline/ }, { server, noise: noises.prints }],
    [works, { server, shell: dash, policy: policies.oneSession }],
    [works, { server, policy: policies.disableForwarding, noise: noises.staysOpen }],
    [forbidden, { server, policy: policies.disableForwardingRespected }],
    [refusedCommand(/ForceCommand/), { server, policy: policies.forceDate }],
    [works, { server, policy: policies.rekey, home: homes.readOnly }],
    [readsStdin, { server, noise: noises.readsAll }],
    [
      { code: "agent.no-runtime", leg: "jump" },
      { server, runtime: runtimes.none },
    ],
    [on22, { server, runtime: sent }],
    [on22, { server, runtime: sent, noise: noises.prints, policy: policies.oneSession }],
  ]),
  [works, { server: servers.backports13 }],
  [{ shows: /Welcome.*no newline/ }, { server: servers.backports13, noise: noises.prints }],
  [works, { server: servers.backports13, shell: dash, policy: policies.oneSession }],
  [on22, { server: servers.arm64, runtime: sent, policy: policies.arm64Chroot }],
  ...[servers.dropbear].flatMap((server): Row[] => [
    [works, { server }],
    [{ shows: /Welcome.*no newline/ }, { server, noise: noises.prints, shell: zsh }],
    [works, { server, noise: noises.staysOpen }],
    [works, { server, shell: fish }],
    [refusedCommand(/date|UTC|did not run/), { server, policy: policies.keyCommand }],
    [works, { server, policy: policies.noForwardingKey }],
    // It lets nobody in whose shell is not in /etc/shells.
    [
      { code: "hop.auth-refused", leg: "jump" },
      { server, shell: shells.nologin },
    ],
    [readsStdin, { server, noise: noises.readsAll }],
    [works, { server, home: homes.readOnly }],
    [on22, { server, runtime: sent }],
    [works, { server, runtime: ownSsh }],
  ]),
  [works, { server: servers.asyncssh }],
  [on22, { server: servers.asyncssh, runtime: sent }],
  [works, { server: servers.asyncssh, shell: fish }],
  [{ shows: /Welcome.*no newline/ }, { server: servers.asyncssh, noise: noises.prints }],
  [refusedCommand(/not available/), { server: servers.asyncssh, shell: shells.nologin }],
  [
    { code: "agent.no-runtime", leg: "jump" },
    { server: servers.asyncssh, runtime: runtimes.none },
  ],
];

/** The matrix. The order is kept in docs/jump-hosts.md. */
export const cells: readonly Cell[] = [
  ...quietShells,
  ...shellsThatRefuse,
  ...noisy,
  ...poorHomes,
  ...strictSshds,
  ...foundNodes,
  ...sentNodes,
  ...ownSshs,
  ...combined,
  ...otherServers,
].map(([expect, axes], index) => ({
  id: `m${String(index + 1).padStart(3, "0")}`,
  ...usual,
  ...axes,
  expect,
}));

/** What `./scripts/test` runs of it: each kind of end once, on what this machine has without further downloads. */
export const sample: readonly Cell[] = pick([
  { shell: fish, noise: noises.prints },
  { shell: tcsh, noise: noises.readsLine },
  { shell: shells.nologin },
  { shell: shells.rbash },
  { noise: noises.readsAll },
  { noise: noises.strays },
  { noise: noises.tooMuch },
  { noise: noises.staysOpen },
  { home: homes.full },
  { policy: policies.oneSession, noise: noises.quiet },
  { policy: policies.noForwardingRespected },
  { policy: policies.forceDate },
  { runtime: runtimes.none, shell: bash },
  { runtime: ownSsh, shell: fish, noise: noises.prints },
]);

/** The first cell with all of each `wanted`. */
function pick(wanted: readonly Partial<Axes>[]): Cell[] {
  return wanted.map((axes) => {
    const names = Object.entries(axes) as [keyof Axes, Trait][];
    const cell = cells.find((candidate) =>
      names.every(([axis, trait]) => candidate[axis].name === trait.name),
    );
    if (cell === undefined) throw new Error(`no cell with ${names.map(([, { name }]) => name).join(", ")}`);
    return cell;
  });
}
