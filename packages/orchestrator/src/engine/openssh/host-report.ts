import { CodedError, harmless } from "@farside/protocol";

/** What the supervisor told about its host before ssh was started. Numbers are checked, texts are harmless. */
export interface HostReport {
  /** As `ssh -V` prints it; undefined where there is no ssh. */
  readonly version: string | undefined;
  /** The forwarded agent's socket; undefined where there is none. */
  readonly socket: string | undefined;
  readonly hasIpv6: boolean;
  /** TCP ports that somebody listens on, whatever the address. */
  readonly takenPorts: ReadonlySet<number>;
  /** Those of them that are taken on a loopback address or on all addresses. */
  readonly takenLoopbackPorts: ReadonlySet<number>;
}

/** The first that sends session-bind@openssh.com. */
const MIN_OPENSSH = [8, 9] as const;
const MAX_SOCKET_PATH = 107;
/** As /proc/net/tcp and tcp6 write 127.0.0.1, ::1, 0.0.0.0 and ::, on hosts of either byte order. */
const LOOPBACK_OR_ALL = /^(?:0100007F|7F000001|0{8}|0{32}|0{24}01000000|0{31}1)$/;

/** Reads the supervisor's lines up to `facts`; hostile. What is not understood is left out. */
export function readHostReport(lines: readonly string[]): HostReport {
  const valuesOf = (word: string) =>
    lines
      .filter((line) => line === word || line.startsWith(`${word} `))
      .map((line) => line.slice(word.length + 1));
  const socket = valuesOf("socket")[0];
  const version = valuesOf("version")[0];
  const listens = valuesOf("listens").flatMap((local) => {
    const [, address, port] = /^([0-9A-F]{8,32}):([0-9A-F]{4})$/.exec(local) ?? [];
    return address === undefined || port === undefined ? [] : [{ address, port: Number.parseInt(port, 16) }];
  });
  return {
    version: version === undefined ? undefined : harmless(version, 100),
    socket: socket?.startsWith("/") === true && socket.length <= MAX_SOCKET_PATH ? socket : undefined,
    hasIpv6: lines.includes("ipv6"),
    takenPorts: new Set(listens.map(({ port }) => port)),
    takenLoopbackPorts: new Set(
      listens.filter(({ address }) => LOOPBACK_OR_ALL.test(address)).map(({ port }) => port),
    ),
  };
}

/** Throws `engine.no-ssh`, `engine.ssh-too-old` or `engine.forwarding-refused` for a host that the card can't be lent to. */
export function checkHostReport({ version, socket }: HostReport, host: string): void {
  if (version === undefined) {
    throw new CodedError("engine.no-ssh", `using the ssh of ${host}: there is none on its PATH`, {
      leg: "jump",
      hint: "Install openssh-client 8.9 or newer on it, or Node.js, and leave out --engine openssh.",
    });
  }
  const numbers = /^OpenSSH_(?:for_Windows_)?(\d+)\.(\d+)/.exec(version);
  const [major, minor] = [Number(numbers?.[1] ?? 0), Number(numbers?.[2] ?? 0)];
  if (major < MIN_OPENSSH[0] || (major === MIN_OPENSSH[0] && minor < MIN_OPENSSH[1]))
    throw sshTooOld(version, host);
  if (socket === undefined) {
    throw new CodedError(
      "engine.forwarding-refused",
      `forwarding an ssh-agent to ${host}: it made no socket for it`,
      {
        leg: "jump",
        hint: "Can its sshd write to /tmp? Does an rc file of the login change SSH_AUTH_SOCK?",
      },
    );
  }
}

/** An ssh that does not say which host it asks for a signature for. */
export function sshTooOld(version: string, host: string): CodedError {
  return new CodedError(
    "engine.ssh-too-old",
    `using the ssh of ${host} (${version}): it does not prove to the card where it logs in to`,
    {
      leg: "jump",
      hint: "--engine openssh needs OpenSSH 8.9 or newer on it (session-bind@openssh.com); nothing was signed.",
    },
  );
}
