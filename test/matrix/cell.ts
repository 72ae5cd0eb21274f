import type { ErrorCode, Leg } from "@farside/protocol";

/** What one side of a cell (its shell, noise, home, sshd policy or runtime) makes of an account on the jump host. */
export interface Trait {
  /** As docs/jump-hosts.md names it. */
  readonly name: string;
  /** Run by root when the account is made; `$user` and `$home` are its own. Mounts are fine. */
  readonly setUp?: string;
  /** Lines of sshd_config for this account alone. */
  readonly sshd?: readonly string[];
  /** Put before the key in authorized_keys. */
  readonly keyOptions?: string;
  /** Variables that sshd sets for the login; `$home` is its home. */
  readonly env?: Readonly<Record<string, string>>;
  /** Added to farside's command line; `$home` is the account's home. */
  readonly args?: readonly string[];
  /** Changes the whole host: such a cell runs alone. Both are scripts of root. */
  readonly host?: { readonly before: string; readonly after: string };
  /** Matches processes and files that the login itself leaves behind, without farside too. */
  readonly leaves?: RegExp;
}

export interface Shell extends Trait {
  /** Login shell. */
  readonly path: string;
  /** The file that it reads for `-c`, from home; undefined where it reads none. */
  readonly rcFile?: string;
  /** What the rc file is written in. */
  readonly language: "posix" | "fish" | "csh";
}

export interface Noise extends Trait {
  /** What goes into the rc file, in each language that this noise is known in. `$home` is the account's home. */
  readonly rc?: Readonly<Partial<Record<Shell["language"], string>>>;
}

export interface Runtime extends Trait {
  /** farside sends one: the workstation has it already. */
  readonly isSent?: boolean;
  /** Whether the account may run the host's own Node.js. */
  readonly hasSystemNode: boolean;
}

export interface Server extends Trait {
  readonly program: "openssh" | "dropbear" | "asyncssh";
  /** Debian release of the jump host; the machine's own tree where left out. */
  readonly release?: string;
  /** Its logins can run programs of this machine, by qemu. */
  readonly emulates?: "arm64";
}

export interface Works {
  /** Version of Node.js that the agent must be run by. */
  readonly node?: string;
  /** What `--log-level debug` must show. */
  readonly shows?: RegExp;
}

export interface Fails {
  readonly code: ErrorCode;
  readonly leg?: Leg;
  /** What message and hint together must say. */
  readonly says?: RegExp;
  /** Such a host can't be looked at either: the receipt says so. */
  readonly isUnlookable?: boolean;
  /** When the cause can be known, in ms from the login on; 0 where left out. */
  readonly knownAfterMs?: number;
}

/** One host as somebody has it, and what farside does there. */
export interface Cell {
  readonly id: string;
  readonly server: Server;
  readonly shell: Shell;
  readonly noise: Noise;
  readonly home: Trait;
  readonly policy: Trait;
  readonly runtime: Runtime;
  readonly expect: Works | Fails;
}

export const fails = (expect: Cell["expect"]): expect is Fails => "code" in expect;

export const traitsOf = (cell: Cell): readonly Trait[] => [
  cell.shell,
  cell.noise,
  cell.home,
  cell.policy,
  cell.runtime,
];
