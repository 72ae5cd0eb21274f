import Module from "node:module";

/**
 * Imported before anything that imports ssh2: ssh2 then has no native addon, as in the agent's bundle, and its AES-GCM
 * classes are those whose keys the data path takes over.
 */
const internals = Module as unknown as { _resolveFilename: (request: string, ...rest: unknown[]) => string };
const resolve = internals._resolveFilename;
internals._resolveFilename = function (this: unknown, request, ...rest) {
  if (request.endsWith("sshcrypto.node")) throw new Error("left out");
  return resolve.call(this, request, ...rest);
};
