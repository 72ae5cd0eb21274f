import { readFile } from "node:fs/promises";
import type { Plugin } from "esbuild";

/**
 * Modules that the agent's code names and never runs, and what stands in their place: what their importers touch while
 * they load. The agent is a client whose signatures come from elsewhere: it reads no private key, asks no ssh-agent,
 * serves no SSH and moves no files by SFTP. Each byte of the bundle crosses the workstation's link at every start.
 */
export const LEFT_OUT: Readonly<Record<string, string>> = {
  "bcrypt-pbkdf": "exports.pbkdf = () => -1;",
  "ssh2/lib/agent.js": "exports.isAgent = () => false;",
  "ssh2/lib/http-agents.js": "",
  "ssh2/lib/keygen.js": "",
  "ssh2/lib/protocol/SFTP.js": "exports.SFTP = class SFTP {};",
  "ssh2/lib/server.js": "",
};

/** Puts each module of `leftOut` out of a bundle. */
export function withoutUnusedModules(leftOut: Readonly<Record<string, string>>): Plugin {
  return {
    name: "without-unused-modules",
    setup(setup) {
      setup.onLoad({ filter: /[\\/]node_modules[\\/](ssh2|bcrypt-pbkdf)[\\/].*\.js$/ }, ({ path }) => {
        const inside =
          path
            .split(/[\\/]node_modules[\\/]/)
            .at(-1)
            ?.replaceAll("\\", "/") ?? "";
        const contents = leftOut[inside] ?? leftOut[inside.replace(/\/index\.js$/, "")];
        return contents === undefined ? undefined : { contents, loader: "js" };
      });
    },
  };
}

/** A part of a module that the agent never runs: from a text of it that is there once up to the next `to`. */
interface Cut {
  readonly from: string;
  readonly to: string;
  readonly instead?: string;
}

const classOf = (name: string): Cut => ({ from: `class ${name} {`, to: "\nclass " });

/** Of ssh2: how it reads and writes private keys, its ciphers for a native module that is not there, and compression, which is never offered. */
const CUTS: Readonly<Record<string, readonly Cut[]>> = {
  "ssh2/lib/protocol/keyParser.js": [
    { from: "const genOpenSSLRSAPriv = ", to: "\nfunction genOpenSSLDSAPub(" },
    { from: "function genOpenSSLDSAPriv(", to: "\nfunction " },
    { from: "function genOpenSSLEdPriv(", to: "\nfunction " },
    { from: "function genOpenSSLECDSAPriv(", to: "\nconst BaseKey = " },
    {
      from: "function OpenSSH_Private(",
      to: "\nfunction OpenSSH_Public(",
      instead:
        "const OpenSSH_Private = { parse: () => null }, OpenSSH_Old_Private = OpenSSH_Private, PPK_Private = OpenSSH_Private;",
    },
  ],
  "ssh2/lib/protocol/crypto.js": [
    ...["ChaChaPolyCipherBinding", "AESGCMCipherBinding", "GenericCipherBinding"].map(classOf),
    ...["ChaChaPolyDecipherBinding", "AESGCMDecipherBinding"].map(classOf),
    { from: "class GenericDecipherBinding {", to: "\nfunction ivIncrement(" },
  ],
  "ssh2/lib/protocol/zlib.js": [
    {
      from: "const { kMaxLength }",
      to: "\nclass PacketWriter {",
      instead: "const ZlibPacketWriter = undefined, ZlibPacketReader = undefined;",
    },
    { from: "class ZlibPacketReader {", to: "\nclass PacketReader {" },
  ],
};

/** Cuts the parts of ssh2 out of a bundle that no agent without a key of its own runs; fails where ssh2 has changed. */
export const withoutUnusedParts: Plugin = {
  name: "without-unused-parts",
  setup(setup) {
    for (const [file, cuts] of Object.entries(CUTS)) {
      const filter = new RegExp(
        `[\\\\/]node_modules[\\\\/]${file.replaceAll("/", "[\\\\/]").replaceAll(".", "\\.")}$`,
      );
      setup.onLoad({ filter }, async ({ path }) => ({
        contents: cuts.reduce(cutOut, await readFile(path, "utf8")),
        loader: "js",
      }));
    }
  },
};

function cutOut(source: string, { from, to, instead = "" }: Cut): string {
  const start = source.indexOf(from);
  const end = source.indexOf(to, start);
  const isOnce = start >= 0 && end >= 0 && !source.includes(from, start + 1);
  if (!isOnce) throw new Error(`ssh2 has changed: from "${from}" to "${to}" is not to be found`);
  return source.slice(0, start) + instead + source.slice(end);
}

/**
 * Leaves native modules out by making their `require` throw, which their users expect and do without. Marked as
 * external they would stay in the file as relative paths and load whatever lies beside it.
 */
export const withoutNativeModules: Plugin = {
  name: "without-native-modules",
  setup(setup) {
    setup.onResolve(
      { filter: /\.node$|^(?:cpu-features|msgpackr-extract|bufferutil|utf-8-validate)$/ },
      ({ path }) => ({
        path,
        namespace: "native",
      }),
    );
    setup.onLoad({ filter: /.*/, namespace: "native" }, () => ({
      contents: 'throw new Error("native modules are left out of the bundle");',
    }));
  },
};
