export { describeIdentity, type IdentityUnderTest } from "./describe-identity.ts";
export { failureOf } from "./failure-of.ts";
export { hopOptionsFor } from "./hop-options-for.ts";
export { type KeyKind, type KeyPair, makeKeyPair } from "./key-pair.ts";
export { program } from "./program.ts";
export { type SshAgent, startSshAgent } from "./ssh-agent.ts";
export { type Sshd, type SshdOptions, startSshd } from "./sshd.ts";
export { type TcpServer, tcpServer } from "./tcp-server.ts";
export { type TemporaryFolder, temporaryFolder } from "./temporary-folder.ts";
