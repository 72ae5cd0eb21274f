import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { ProviderOptions } from "../open-card.ts";
import { usualProviderPaths } from "../provider-path.ts";
import { signerUnderTest } from "./signer-under-test.ts";

export const softHsmPin = "7351-soft";

export interface SoftHsmKey {
  /** As pkcs11-tool names it: `rsa:2048`, `EC:secp384r1`, `EC:edwards25519`. */
  readonly type: string;
  readonly id: string;
  readonly label: string;
  /** Shown to nobody who hasn't logged in, its public half too. */
  readonly isHidden?: boolean;
}

/** A SoftHSM2 token in a folder of its own. */
export interface SoftHsm extends AsyncDisposable {
  readonly provider: string;
  /** For whoever loads the module: SOFTHSM2_CONF, and the environment of this process. */
  readonly env: NodeJS.ProcessEnv;
  /** What `openCard` and the lists need for it. */
  readonly options: ProviderOptions;
  /** One more token with keys. */
  addToken(label: string, keys: readonly SoftHsmKey[]): Promise<void>;
}

const run = promisify(execFile);

function findModule(): string {
  const places = usualProviderPaths()
    .map((path) => path.replace(/opensc-pkcs11\.so$/, "softhsm/libsofthsm2.so"))
    .concat("/usr/lib/softhsm/libsofthsm2.so");
  const found = places.find((path) => existsSync(path));
  if (found === undefined) throw new Error("no SoftHSM2: apt install softhsm2 opensc");
  return found;
}

export async function startSoftHsm(label: string, keys: readonly SoftHsmKey[]): Promise<SoftHsm> {
  const folder = await mkdtemp(join(tmpdir(), "farside-softhsm-"));
  const conf = join(folder, "softhsm2.conf");
  await mkdir(join(folder, "tokens"));
  await writeFile(conf, `directories.tokendir = ${join(folder, "tokens")}\nlog.level = ERROR\n`);
  const env = { ...process.env, SOFTHSM2_CONF: conf };
  const provider = findModule();
  const addToken: SoftHsm["addToken"] = async (name, wanted) => {
    const pins = ["--pin", softHsmPin, "--so-pin", "87654321"];
    await run("softhsm2-util", ["--init-token", "--free", "--label", name, ...pins], { env });
    for (const { type, id, label, isHidden } of wanted) {
      const login = ["--module", provider, "--token-label", name, "--login", "--pin", softHsmPin];
      const key = ["--keypairgen", "--key-type", type, "--id", id, "--label", label, "--usage-sign"];
      if (isHidden === true) key.push("--private");
      await run("pkcs11-tool", [...login, ...key], { env });
    }
  };
  await addToken(label, keys);
  return {
    ...{ provider, env, addToken },
    options: { provider, env, signerEntry: signerUnderTest },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
