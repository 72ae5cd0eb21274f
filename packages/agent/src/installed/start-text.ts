import { SMALL_YOUNG_GENERATION } from "@farside/protocol/small-young-generation";

/** What `start.cjs` leaves for the bundle that it runs, in `globalThis`. */
export const COMPILED = Symbol.for("farside.compiled");

/** How a compiled form is called: by the SHA-256 of its bundle, and of the Node.js and the V8 flags that made it; also one that was not finished. */
export const CODE_CACHE = /^agent-[0-9a-f]{16}-[0-9a-f]{16}\.cache(?:\.new)?$/;

/** Of a code cache, what stands before it: the SHA-256 of the rest. */
export const CHECKSUM_BYTES = 32;

/**
 * `start.cjs` of an installed agent's folder: runs the bundle that is current there, by V8's compiled form of it where one was
 * kept (`keepCodeCache`). A compiled form is as good as code, so it must be a file of this very user that nobody else can even read,
 * and whole. Whatever is wrong with it, the bundle is compiled as if there was none: V8 itself compares version, flags and length.
 */
export const START_TEXT = `"use strict";
// Made by "farside agent install": runs agent.cjs, which is beside it, and is what keeps its start short.
// SIGUSR1 opens Node.js's debugger, which asks nobody who they are, until somebody takes the signal.
process.on("SIGUSR1", () => {});
const crypto = require("node:crypto");
const fs = require("node:fs");
const Module = require("node:module");
const path = require("node:path");
const v8 = require("node:v8");
const vm = require("node:vm");

// As the agent sets it: what is compiled names the flags of its time.
v8.setFlagsFromString("${SMALL_YOUNG_GENERATION}");

const sha256 = (bytes) => crypto.createHash("sha256").update(bytes).digest();
const short = (bytes) => sha256(bytes).toString("hex").slice(0, 16);
const file = fs.realpathSync(path.join(__dirname, "agent.cjs"));
const source = fs.readFileSync(file);
const by = [process.version, process.arch, v8.cachedDataVersionTag(), ...process.execArgv].join(" ");
const cache = path.join(__dirname, "agent-" + short(source) + "-" + short(by) + ".cache");

const kept = () => {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
  let opened;
  try {
    opened = fs.openSync(cache, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    const facts = fs.fstatSync(opened);
    if (!facts.isFile() || facts.uid !== process.getuid() || (facts.mode & 0o077) !== 0) return undefined;
    const bytes = fs.readFileSync(opened);
    const data = bytes.subarray(${CHECKSUM_BYTES});
    return sha256(data).equals(bytes.subarray(0, ${CHECKSUM_BYTES})) ? data : undefined;
  } catch {
    return undefined;
  } finally {
    if (opened !== undefined) fs.closeSync(opened);
  }
};

const cachedData = kept();
const script = new vm.Script(Module.wrap(source.toString()), { filename: file, cachedData });
const isTaken = cachedData !== undefined && script.cachedDataRejected === false;
globalThis[Symbol.for("${COMPILED.description}")] = { script, cache, isTaken };
process.argv[1] = file;
const agent = new Module(file);
agent.filename = file;
agent.paths = [];
script.runInThisContext().call(agent.exports, agent.exports, Module.createRequire(file), agent, file, __dirname);
`;
