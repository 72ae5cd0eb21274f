/**
 * The numbers of PKCS#11 (v2.40 and, for Ed25519, v3.0) that farside uses. Of its own, because pkcs11js is native code
 * that only the signer process may load.
 */
export const objectClass = { certificate: 0x01, publicKey: 0x02, privateKey: 0x03 } as const;

export const keyType = { rsa: 0x00, ec: 0x03, edwards: 0x40 } as const;

export const attribute = {
  class: 0x00,
  label: 0x03,
  value: 0x11,
  certificateType: 0x80,
  keyType: 0x100,
  id: 0x102,
  sign: 0x108,
  verify: 0x10a,
  modulus: 0x120,
  publicExponent: 0x122,
  ecParams: 0x180,
  ecPoint: 0x181,
  alwaysAuthenticate: 0x202,
} as const;

export const mechanism = {
  rsaPkcs: 0x01,
  sha256RsaPkcs: 0x40,
  sha512RsaPkcs: 0x42,
  ecdsa: 0x1041,
  ecdsaSha256: 0x1044,
  ecdsaSha384: 0x1045,
  ecdsaSha512: 0x1046,
  eddsa: 0x1057,
} as const;

export const slotFlag = { tokenPresent: 0x01 } as const;

export const tokenFlag = {
  loginRequired: 0x04,
  protectedAuthenticationPath: 0x100,
  tokenInitialized: 0x400,
  pinCountLow: 0x10000,
  pinFinalTry: 0x20000,
  pinLocked: 0x40000,
} as const;

export const user = { normal: 1, contextSpecific: 2 } as const;

/** Return values that mean something to farside; the rest is `card.failed`. */
export const ckr = {
  generalError: 0x05,
  functionFailed: 0x06,
  deviceError: 0x30,
  deviceRemoved: 0x32,
  functionCanceled: 0x50,
  mechanismInvalid: 0x70,
  pinIncorrect: 0xa0,
  pinInvalid: 0xa1,
  pinLengthRange: 0xa2,
  pinExpired: 0xa3,
  pinLocked: 0xa4,
  sessionClosed: 0xb0,
  sessionHandleInvalid: 0xb3,
  slotIdInvalid: 0x03,
  tokenNotPresent: 0xe0,
  tokenNotRecognized: 0xe1,
  userAlreadyLoggedIn: 0x100,
  userNotLoggedIn: 0x101,
  cantLock: 0x0a,
  alreadyInitialized: 0x191,
} as const;
