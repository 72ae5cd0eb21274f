import { accessSync, constants } from "node:fs";
import { CodedError } from "@farside/protocol";

/** Debian names its library folders after the architecture. */
const multiarch: Readonly<Record<string, string>> = {
  x64: "x86_64-linux-gnu",
  arm64: "aarch64-linux-gnu",
  arm: "arm-linux-gnueabihf",
  ia32: "i386-linux-gnu",
  ppc64: "powerpc64le-linux-gnu",
  riscv64: "riscv64-linux-gnu",
  s390x: "s390x-linux-gnu",
};

/** Where OpenSC puts its module, most likely first. */
export function usualProviderPaths(
  platform: NodeJS.Platform = process.platform,
  architecture: string = process.arch,
): readonly string[] {
  if (platform === "darwin")
    return [
      "/Library/OpenSC/lib/opensc-pkcs11.so",
      "/opt/homebrew/lib/opensc-pkcs11.so",
      "/usr/local/lib/opensc-pkcs11.so",
    ];
  const folder = multiarch[architecture];
  return [
    ...(folder === undefined ? [] : [`/usr/lib/${folder}/opensc-pkcs11.so`]),
    "/usr/lib64/opensc-pkcs11.so",
    "/usr/lib64/pkcs11/opensc-pkcs11.so",
    "/usr/lib/opensc-pkcs11.so",
    "/usr/lib/pkcs11/opensc-pkcs11.so",
    "/usr/local/lib/opensc-pkcs11.so",
    "/run/current-system/sw/lib/opensc-pkcs11.so",
  ];
}

const isReadable = (path: string): boolean => {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
};

/**
 * The PKCS#11 module to use: `wanted` (which must be there), else the first of `usual` that is.
 * @throws CodedError `card.module-not-found`
 */
export function resolveProviderPath(
  wanted: string | undefined,
  usual: readonly string[] = usualProviderPaths(),
): string {
  if (wanted !== undefined) {
    if (wanted.startsWith("/") && isReadable(wanted)) return wanted;
    const reason = wanted.startsWith("/") ? "there is no readable file" : "the path is not absolute";
    throw new CodedError("card.module-not-found", `cannot load the PKCS#11 module ${wanted}: ${reason}`, {
      leg: "card",
      hint: "check --pkcs11-provider, PKCS11Provider in ssh_config, and FARSIDE_PKCS11_PROVIDER",
    });
  }
  const found = usual.find(isReadable);
  if (found !== undefined) return found;
  throw new CodedError("card.module-not-found", "cannot find OpenSC's PKCS#11 module in any usual place", {
    leg: "card",
    hint: "install OpenSC (apt install opensc), or name the module with --pkcs11-provider",
  });
}

/** As `resolveProviderPath`, without the error: whether a card can be used at all. */
export function findProvider(usual: readonly string[] = usualProviderPaths()): string | undefined {
  return usual.find(isReadable);
}
