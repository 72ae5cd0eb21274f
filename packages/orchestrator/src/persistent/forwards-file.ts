import * as v from "valibot";

/** What a key of forwards.yaml is for: shown by editors, and the text of docs/installed-agents.md is checked against it. */
const about = <Input>(text: string) => v.description<Input, string>(text);

const port = v.pipe(v.number("a port is a number"), v.integer(), v.minValue(0), v.maxValue(65_535));
const targetPort = v.pipe(port, v.minValue(1));
const path = v.pipe(v.string(), v.regex(/^(?:~\/|\/)[ -~\u00a0-\uffff]*$/, "a path begins with / or ~/"));
const agentSocket = v.pipe(
  v.string(),
  v.regex(
    /^(?:(?:~\/|\/)[ -~\u00a0-\uffff]*|SSH_AUTH_SOCK|\$[A-Za-z_][A-Za-z0-9_]*)$/,
    "an agent's socket is a path that begins with / or ~/, SSH_AUTH_SOCK, or $NAME of another variable",
  ),
);
const host = v.pipe(v.string(), v.nonEmpty("a host has a name"), v.maxLength(255));
const userName = v.pipe(
  v.string(),
  v.regex(/^(?!-)[!-.0-9;-~\u00a1-\uffff]{1,255}$/, "that is not a user name"),
);
const duration = v.pipe(v.string(), v.regex(/^\d{1,4}[smh]$/, "a duration is a number and s, m or h: 30s"));
const whole = (max: number) => v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(max));

const listen = v.pipe(
  v.union(
    [
      port,
      v.pipe(v.string(), v.nonEmpty()),
      v.strictObject({ address: v.optional(v.string()), port }),
      v.strictObject({ socket: path }),
    ],
    'write a port, "[bind_address:]port", the path of a socket, {address, port} or {socket}',
  ),
  about(
    "Where the build server listens, as before the target in ssh -L: a port, address:port, or a socket's path.",
  ),
);
const target = v.pipe(
  v.union(
    [
      v.pipe(v.string(), v.nonEmpty()),
      v.strictObject({ host, port: targetPort }),
      v.strictObject({ socket: path }),
    ],
    'write "host:port", the path of a socket, {host, port} or {socket}',
  ),
  about(
    "Where connections go, dialled from the last hop of via, or from the build server: host:port, or a socket's path.",
  ),
);
const hostKey = v.pipe(
  v.string(),
  v.regex(
    /^(?:SHA256:[A-Za-z0-9+/]{43}|[a-z0-9@.-]+ [A-Za-z0-9+/]+=*(?: .*)?)$/,
    "write SHA256:… or a public key line",
  ),
  about("SHA256:… as `ssh-keygen -lf` prints it, or a line as in a host's ssh_host_*_key.pub."),
);
const hop = v.union(
  [
    v.pipe(v.string(), v.nonEmpty()),
    v.strictObject({
      host: v.pipe(host, about("Name, address, or alias of the workstation's ssh_config.")),
      user: v.optional(v.pipe(userName, about("Default: as ssh_config says."))),
      port: v.optional(v.pipe(targetPort, about("Default: as ssh_config says, else 22."))),
      "host-keys": v.optional(
        v.pipe(
          v.array(hostKey),
          v.minLength(1),
          v.maxLength(64),
          about(
            "Host keys to accept, and no others. Default: those of the workstation's known_hosts, as of install or apply.",
          ),
        ),
      ),
    }),
  ],
  "write [user@]host[:port], or {host, user, port, host-keys}",
);
const via = v.pipe(
  v.union(
    [v.pipe(v.string(), v.nonEmpty()), v.pipe(v.array(hop), v.maxLength(8))],
    "write [user@]host[:port],… or a list of hops",
  ),
  about(
    "SSH hops from the build server to the target. Default: none, the target is dialled from the build server.",
  ),
);
const identity = v.pipe(
  v.union(
    [
      v.literal("attached"),
      v.strictObject({ "key-file": path }),
      v.strictObject({ "ssh-agent": agentSocket }),
    ],
    "write attached, {key-file: PATH} or {ssh-agent: SOCKET}",
  ),
  about(
    "What logs in to the hops. attached: whoever runs farside agent attach, with their card or key. key-file and ssh-agent: a private key, or an agent's socket, on the build server.",
  ),
);
const settings = {
  via: v.optional(via),
  identity: v.optional(identity),
  "allow-users": v.optional(
    v.pipe(
      v.array(userName),
      v.maxLength(64),
      about(
        "Users of the build server who may connect to a loopback port, besides the agent's own and root.",
      ),
    ),
  ),
  "allow-any-user": v.optional(v.pipe(v.boolean(), about("Every user of the build server may connect."))),
  "max-relays": v.optional(
    v.pipe(whole(1_000_000), about("Connections at a time; more have to wait. Default: no limit.")),
  ),
  connections: v.optional(
    v.pipe(
      whole(16),
      about(
        "SSH connections to the last hop that many relays are spread over, each signed for. Default: 4, and 1 for attached.",
      ),
    ),
  ),
  probe: v.optional(
    v.pipe(duration, about("Dial the target this often, to know whether it answers. Default: never.")),
  ),
};

const forward = v.pipe(
  v.strictObject({
    id: v.pipe(
      v.string(),
      v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, "an id is letters, digits, dots, dashes and underscores"),
      about("What the forward is called in status, logs and metrics; apply goes by it."),
    ),
    listen,
    target,
    ...settings,
  }),
  about("A listener on the build server and where its connections go."),
);

/** forwards.yaml as it is written. What a string must look like inside (`host:port`) is read by `readForwardsFile`. */
export const forwardsFile = v.strictObject({
  name: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^[a-z][a-z0-9-]{0,31}$/, "a name is small letters, digits and dashes, 32 at most"),
      about("The agent's name, where a login has several. Default: agent."),
    ),
  ),
  defaults: v.optional(
    v.pipe(v.strictObject(settings), about("What holds for every forward that does not say it itself.")),
  ),
  "metrics-port": v.optional(
    v.pipe(
      port,
      about(
        "A port of the build server's 127.0.0.1 and ::1 that answers GET /metrics and /healthz, for the agent's own user and root; 0 takes a free one. Default: none.",
      ),
    ),
  ),
  forwards: v.pipe(v.array(forward), v.minLength(1, "there must be a forward"), v.maxLength(64)),
});
export type ForwardsFileContent = v.InferOutput<typeof forwardsFile>;
export type ForwardContent = ForwardsFileContent["forwards"][number];
