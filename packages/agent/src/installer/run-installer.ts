import { homedir } from "node:os";
import type { Readable, Writable } from "node:stream";
import { brotliDecompressSync } from "node:zlib";
import {
  agentHello,
  CodedError,
  encodePreamble,
  FramedStream,
  on,
  Peer,
  PROTOCOL_VERSIONS,
  type RequestHandler,
  resizeCommand,
} from "@farside/protocol";
import { stackOf } from "../agent-core.ts";
import { agentVersion } from "../agent-version.ts";
import type { BootFacts } from "../boot-facts.ts";
import { CommandTable } from "../command/command-table.ts";
import { readHostFacts } from "../host-facts.ts";
import type { Log } from "../log.ts";
import { installerService } from "./installer-service.ts";
import { ServiceManager } from "./service-manager.ts";

export interface RunInstallerOptions {
  readonly boot: BootFacts;
  /** The control channel; owned. */
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly environment: NodeJS.ProcessEnv;
  readonly log: Log;
}

/** Answers the workstation's requests about what is installed here, until its channel ends. */
export async function runInstaller({
  boot,
  stdin,
  stdout,
  environment,
  log,
}: RunInstallerOptions): Promise<void> {
  if (boot.compressed === undefined) throw new Error("an installer without its bundle");
  const facts = readHostFacts();
  const home = environment["HOME"] ?? homedir();
  if (!home.startsWith("/"))
    throw new CodedError("agent.unsupported-host", "installing an agent: the login has no home", {
      leg: "jump",
    });
  const underWay = new Set<Promise<unknown>>();
  const commands = new CommandTable({
    nonce: boot.nonce,
    request: (definition, params, options) => peer.request(definition, params, options),
    environment,
    requireSession: () => undefined,
  });
  stdout.write(encodePreamble(boot.nonce, "agent"));
  const peer: Peer = new Peer(new FramedStream({ readable: stdin, writable: stdout }), {
    requests: [
      ...tracked(
        underWay,
        installerService({
          facts,
          folders: {
            home,
            dataHome: environment["XDG_DATA_HOME"],
            configHome: environment["XDG_CONFIG_HOME"],
          },
          runFacts: {
            ...{ uid: facts.uid, home, runtimeFolder: environment["XDG_RUNTIME_DIR"] },
            isRuntimeFolderLasting: true,
          },
          manager: new ServiceManager(facts.uid, environment),
          bundle: brotliDecompressSync(boot.compressed),
        }),
      ),
      ...commands.handlers,
    ],
    events: [on(resizeCommand, (size) => commands.resize(size))],
    onBug: (error, where) => log.error("a bug", { where, error: stackOf(error) }),
  });
  const hello = {
    protocol: PROTOCOL_VERSIONS,
    agentVersion,
    digest: boot.digest,
    capabilities: ["installer"],
  };
  peer.emit(agentHello, { ...hello, ...facts }, { keep: true });
  await peer.closed;
  await commands.closeAll(0);
  // What is half done would stay so.
  await Promise.all(underWay);
}

/** `handlers`, each of whose answers is in `underWay` until it is there. */
function tracked(underWay: Set<Promise<unknown>>, handlers: readonly RequestHandler[]): RequestHandler[] {
  return handlers.map(({ name, accept }) => ({
    name,
    accept: (params, context) => {
      const answer = accept(params, context);
      const settled: Promise<unknown> = answer.catch(() => undefined).finally(() => underWay.delete(settled));
      underWay.add(settled);
      return answer;
    },
  }));
}
