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
