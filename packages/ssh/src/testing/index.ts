export { type KeyKind, type KeyPair, makeKeyPair } from "./key-pair.ts";
export { program } from "./program.ts";
export { type Sshd, type SshdOptions, startSshd } from "./sshd.ts";
export { type TemporaryFolder, temporaryFolder } from "./temporary-folder.ts";
