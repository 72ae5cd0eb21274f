import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { SignerEntry } from "../signer-entry.ts";
import { compileFaultModule } from "./compile-fault-module.ts";
import { signerUnderTest } from "./signer-under-test.ts";
import { type SoftHsm, startSoftHsm } from "./soft-hsm.ts";

/** A SoftHSM2 token with one P-256 key, behind a module that fails on demand. */
export interface FaultyCard extends AsyncDisposable {
  /** What `openCard` needs for it. */
  readonly options: {
    provider: string;
    env: NodeJS.ProcessEnv;
    passEnvironment: readonly string[];
    signerEntry: SignerEntry | undefined;
  };
  /** From the next call on: `C_Sign hang`, `C_Login crash`, `C_Sign exit`, `C_Sign slow 1200`, `C_Login 48`; "" for none. */
  fail(how: string): Promise<void>;
  /** The functions that were called so far, of C_Login and C_Sign. */
  calls(): Promise<string[]>;
  /** Resolves once `name` was called `count` times. */
  called(name: string, count: number): Promise<void>;
}

export async function startFaultyCard(): Promise<FaultyCard> {
  const folder = await mkdtemp(join(tmpdir(), "farside-fault-"));
  const provider = join(folder, "fault-module.so");
  const [hsm] = await Promise.all([
    startSoftHsm("faulty", [{ type: "EC:prime256v1", id: "01", label: "key" }]),
    compileFaultModule(provider),
  ]);
  const faultFile = join(folder, "fault");
  const fail = (how: string): Promise<void> => writeFile(faultFile, how);
  await fail("");
  const callFile = join(folder, "calls");
  await writeFile(callFile, "");
  const calls = async (): Promise<string[]> => (await readFile(callFile, "utf8")).split("\n").filter(Boolean);
  const called = async (name: string, count: number): Promise<void> => {
    const deadline = Date.now() + CALL_TIMEOUT_MS;
    while ((await calls()).filter((call) => call === name).length < count) {
      if (Date.now() > deadline) throw new Error(`${name} was not called ${count} times`);
      await delay(10);
    }
  };
  return {
    options: {
      provider,
      env: { ...hsm.env, P11_REAL: hsm.provider, P11_FAULT: faultFile, P11_CALLS: callFile },
      passEnvironment: ["P11_REAL", "P11_FAULT", "P11_CALLS"],
      signerEntry: signerUnderTest,
    },
    ...{ fail, calls, called },
    [Symbol.asyncDispose]: () => remove(hsm, folder),
  };
}

const CALL_TIMEOUT_MS = 20_000;

async function remove(hsm: SoftHsm, folder: string): Promise<void> {
  await hsm[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
}
