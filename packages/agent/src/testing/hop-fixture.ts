import type { HopDeclaration, OpenForwardParams } from "@farside/protocol";
import {
  type KeyPair,
  makeKeyPair,
  type Sshd,
  startSshd,
  type TemporaryFolder,
  temporaryFolder,
} from "@farside/ssh/testing";
import { connectHopThrough } from "../forwarding/connect-hop.ts";
import { RoutePool } from "../forwarding/route-pool.ts";
import { sshTarget } from "../forwarding/ssh-target.ts";
import type { Target } from "../forwarding/target.ts";
import { tellSlowWay } from "../forwarding/tell-slow-way.ts";
import type { Delegate } from "./delegate.ts";

/** An SSH server on 127.0.0.1. */
export interface HopServer {
  readonly port: number;
  /** Public key blobs. */
  readonly hostKeys: readonly Uint8Array[];
}

/** A real sshd and a key that it lets in. */
export interface HopFixture extends AsyncDisposable {
  readonly folder: TemporaryFolder;
  readonly key: KeyPair;
  readonly sshd: Sshd;
  /** How the workstation would declare `server` as a hop; the fixture's own sshd where left out. */
  hopTo(server?: HopServer, hopId?: string): HopDeclaration;
}

export async function hopFixture(): Promise<HopFixture> {
  const folder = await temporaryFolder();
  const key = await makeKeyPair(folder.file("identity"));
  const sshd = await startSshd({ authorizedKeys: [key.line] });
  return {
    ...{ folder, key, sshd },
    hopTo: ({ port, hostKeys } = serverOf(sshd), hopId = "1") => ({
      ...{ hopId, user: sshd.user, host: "127.0.0.1", port },
      hostKeys: [...hostKeys],
      publicKeys: [key.publicKey.blob],
    }),
    async [Symbol.asyncDispose]() {
      await sshd[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

export function serverOf({ port, hostKeys }: Sshd): HopServer {
  return { port, hostKeys: hostKeys.map(({ publicKey }) => publicKey.blob) };
}

/** What an agent keeps of its hops, its signatures made by `delegate`. */
export interface HopSession {
  /** To be closed by who made the session. */
  readonly pool: RoutePool;
  /** `connected 1`, `lost 1 hop.lost`, and warnings of the log, in order. */
  readonly events: readonly string[];
  target(address: OpenForwardParams["target"], ...route: HopDeclaration[]): Target;
}

export function hopSession(delegate: Delegate): HopSession {
  const events: string[] = [];
  const log = {
    warn: (message: string, fields?: object) => void events.push(`${message}: ${JSON.stringify(fields)}`),
  };
  const pool = new RoutePool({
    connect: tellSlowWay(connectHopThrough(delegate.peer), log),
    onConnected: ({ hopId }) => events.push(`connected ${hopId}`),
    onLost: ({ hopId }, { code }) => events.push(`lost ${hopId} ${code}`),
  });
  return {
    ...{ pool, events },
    target: (address, ...route) => sshTarget(address, pool.lease(route)),
  };
}
