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

/** Puts each module of `LEFT_OUT` out of the bundle. */
export const withoutUnusedModules: Plugin = {
  name: "without-unused-modules",
  setup(setup) {
    setup.onLoad({ filter: /[\\/]node_modules[\\/](ssh2|bcrypt-pbkdf)[\\/].*\.js$/ }, ({ path }) => {
      const inside =
        path
          .split(/[\\/]node_modules[\\/]/)
          .at(-1)
          ?.replaceAll("\\", "/") ?? "";
      const contents = LEFT_OUT[inside] ?? LEFT_OUT[inside.replace(/\/index\.js$/, "")];
      return contents === undefined ? undefined : { contents, loader: "js" };
    });
  },
};
