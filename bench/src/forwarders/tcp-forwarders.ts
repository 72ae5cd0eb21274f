/** What forwards to a TCP target, without encryption: the peers of a forward without `--via`. */
import { TARGET } from "@farside/test/lab/lab";
import { PROGRAMS, SERVICE_PORT } from "../lab/bench-lab.ts";
import { type Forwarder, whenListening } from "./forwarder.ts";

/** No forwarder at all: how fast load generator, service and network are by themselves. */
export const direct: Forwarder = {
  name: "no forwarder",
  command: "",
  start: async (bench) => ({
    address: bench.service,
    pids: async () => [],
    [Symbol.asyncDispose]: async () => {},
  }),
};

function socatWith(name: string, options: readonly string[]): Forwarder {
  const listen = "TCP-LISTEN:4444,bind=127.0.0.1,fork,reuseaddr,backlog=1024,nodelay";
  return {
    name,
    command: ["socat", ...options, listen, "TCP:target:5000,nodelay"].join(" "),
    start: (bench) => {
      const port = bench.nextPort();
      const addresses = [listen.replace("4444", String(port)), `TCP:${TARGET}:${SERVICE_PORT},nodelay`];
      return whenListening(
        bench,
        port,
        bench.jump.spawn(["socat", ...options, ...addresses], { user: "builder" }),
      );
    },
  };
}

export const socat = socatWith("socat", []);
export const socatBig = socatWith("socat -b 131072", ["-b", "131072"]);

function haproxyWith(name: string, option: string): Forwarder {
  return {
    name,
    command: `haproxy -db -f …, mode tcp, Debian's defaults${option === "" ? "" : `, ${option}`}`,
    start: async (bench) => {
      const port = bench.nextPort();
      const path = `/tmp/haproxy-${port}.cfg`;
      const lines = [
        ...["global", " maxconn 6000", "defaults", " mode tcp", " timeout connect 10s"],
        ...[" timeout client 10m", " timeout server 10m", " maxconn 6000", option && ` ${option}`],
        ...["listen forward", ` bind 127.0.0.1:${port} backlog 4096`, ` server service ${bench.service}`, ""],
      ];
      await bench.jump.writeFile(path, lines.join("\n"), { user: "builder" });
      return whenListening(
        bench,
        port,
        bench.jump.spawn(["haproxy", "-db", "-f", path], { user: "builder" }),
      );
    },
  };
}

export const haproxy = haproxyWith("haproxy", "");
export const haproxySplice = haproxyWith("haproxy, splice", "option splice-auto");

const NAIVE_PIPE = `
const net = require("node:net");
const [port, host, hostport] = process.argv.slice(2);
net.createServer((client) => {
  const target = net.connect(Number(hostport), host);
  client.pipe(target).pipe(client);
  client.on("error", () => target.destroy());
  target.on("error", () => client.destroy());
}).listen({ host: "127.0.0.1", port: Number(port), backlog: 4096 });
`;

/** What a Node program without much thought does. */
export const naivePipe: Forwarder = {
  name: "Node pipe",
  command: "node: client.pipe(target).pipe(client)",
  start: async (bench) => {
    const port = bench.nextPort();
    const path = `${PROGRAMS}/naive-pipe.cjs`;
    await bench.jump.writeFile(path, NAIVE_PIPE);
    const argv = ["node", path, String(port), TARGET, String(SERVICE_PORT)];
    return whenListening(bench, port, bench.jump.spawn(argv, { user: "builder" }));
  },
};
