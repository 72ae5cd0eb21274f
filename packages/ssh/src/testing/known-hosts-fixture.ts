import { writeFile } from "node:fs/promises";
import { KnownHosts, type KnownHostsOptions } from "../known-hosts.ts";
import type { KeyPair } from "./key-pair.ts";
import type { TemporaryFolder } from "./temporary-folder.ts";

/** A key as a line of known_hosts has it: without the comment. */
export const keyOf = ({ line }: KeyPair): string => line.split(" ").slice(0, 2).join(" ");

/** A known_hosts of one test, in the folder of its file of tests. */
export class KnownHostsFixture {
  static #number = 0;
  readonly file: string;

  constructor(folder: TemporaryFolder) {
    KnownHostsFixture.#number += 1;
    this.file = folder.file(`known_hosts_${KnownHostsFixture.#number}`);
  }

  /** The file with `lines`, read strictly unless `options` says otherwise. */
  async known(lines: readonly string[], options: Partial<KnownHostsOptions> = {}): Promise<KnownHosts> {
    await writeFile(this.file, lines.map((line) => `${line}\n`).join(""));
    return KnownHosts.load({ files: [this.file], check: "strict", ...options });
  }
}
