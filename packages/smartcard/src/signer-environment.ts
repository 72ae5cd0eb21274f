/** What a PKCS#11 module may need to know; everything else of the environment stays out of the signer process. */
const passedNames = new Set([
  "HOME",
  "USER",
  "LOGNAME",
  "PATH",
  "TZ",
  "LANG",
  "TMPDIR",
  "LD_LIBRARY_PATH",
  "DYLD_LIBRARY_PATH",
  "SOFTHSM2_CONF",
  "YUBIHSM_PKCS11_CONF",
  "KMS_PKCS11_CONFIG",
  "ChrystokiConfigurationPath",
]);
const passedPrefixes = [
  "LC_",
  "XDG_",
  "PCSCLITE_",
  "OPENSC_",
  "PKCS11_",
  "P11_",
  "TPM2_PKCS11_",
  "NFAST_",
  "CKNFAST_",
];
/** OpenSC's debug log holds every APDU, the PIN's too. OPENSC_CONF is replaced by a derived one. */
const withheldNames = new Set(["OPENSC_DEBUG", "OPENSC_CONF"]);

/** The part of `env` that the signer process gets. */
export function signerEnvironment(env: Readonly<NodeJS.ProcessEnv>): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(
      ([name]) =>
        !withheldNames.has(name) &&
        (passedNames.has(name) || passedPrefixes.some((prefix) => name.startsWith(prefix))),
    ),
  );
}
