import { SockDiagOwners } from "./sock-diag-owners.ts";
import { SockDiagSocket, takeSockDiagDescriptor } from "./sock-diag-socket.ts";
import type { SocketOwners } from "./socket-owner.ts";

/**
 * How an agent in `environment` starts what looks connections' owners up fast: the bootstrap's socket, which is taken out of
 * `environment`, or a helper process with `helperEnvironment` where there is none.
 */
export function fastOwners(
  environment: NodeJS.ProcessEnv,
  helperEnvironment: NodeJS.ProcessEnv,
): () => SocketOwners {
  const descriptor = takeSockDiagDescriptor(environment);
  if (descriptor === undefined) return () => new SockDiagOwners({ environment: helperEnvironment });
  return () => new SockDiagSocket(descriptor);
}
