import { execFile } from "node:child_process";
import { createPrivateKey, type KeyObject } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

/** PIV slots with a key: authentication, digital signature (PIN for each use), key management, card authentication. */
export const slotNames = ["9a", "9c", "9d", "9e"] as const;
export type SlotName = (typeof slotNames)[number];
export type KeyKind = "rsa2048" | "p256" | "p384";
export type CardSlots = Partial<Record<SlotName, KeyKind>>;

export interface CardKey {
  readonly slot: SlotName;
  readonly key: KeyObject;
  /** X.509, DER. */
  readonly certificate: Buffer;
}

const newKeyOptions: Readonly<Record<KeyKind, readonly string[]>> = {
  rsa2048: ["-newkey", "rsa:2048"],
  p256: ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
  p384: ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"],
};

/** Environment variable: a folder of keys that are ready to be taken instead of new ones, as KIND/SLOT.key and KIND/SLOT.der. */
export const READY_KEYS = "FARSIDE_LAB_READY_KEYS";

/** Makes `SLOT.key` (PEM) and `SLOT.der` (certificate) in `dir` for each slot that has none yet, or takes ready ones. */
export async function makeCardKeys(dir: string, slots: CardSlots): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  for (const [slot, kind] of Object.entries(slots)) {
    const keyFile = join(dir, `${slot}.key`);
    const certificateFile = join(dir, `${slot}.der`);
    if (existsSync(keyFile) && existsSync(certificateFile)) continue;
    const folder = process.env[READY_KEYS];
    const ready = folder === undefined ? undefined : join(folder, kind, slot);
    if (ready !== undefined && existsSync(`${ready}.der`)) {
      await Promise.all([copyFile(`${ready}.key`, keyFile), copyFile(`${ready}.der`, certificateFile)]);
      continue;
    }
    await promisify(execFile)("openssl", [
      ...["req", "-x509", "-nodes", "-days", "3650", "-subj", `/CN=farside lab ${slot}`],
      ...newKeyOptions[kind],
      ...["-keyout", keyFile, "-outform", "DER", "-out", certificateFile],
    ]);
  }
}

export function readCardKeys(dir: string, slots: readonly SlotName[]): CardKey[] {
  return slots.map((slot) => ({
    slot,
    key: createPrivateKey(readFileSync(join(dir, `${slot}.key`))),
    certificate: readFileSync(join(dir, `${slot}.der`)),
  }));
}
