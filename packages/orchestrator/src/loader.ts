/**
 * The JavaScript that the bootstrap gives to `node -e` on the jump host. It reads stdin up to the marker line that
 * carries the nonce, then exactly the compressed bundle, checks it against the digest of its argv, and runs it with
 * what is left of stdin put back. argv: the nonce, the SHA-256 of the
 * compressed bundle in hex, and an argument for a bundle with several jobs, or nothing.
 *
 * It travels in single quotes through an unknown login shell (tcsh expands `!` even there, fish reads `\`), so it
 * holds no single quote, backslash, exclamation mark or backtick, and becomes one line of printable ASCII.
 */
const SOURCE = `
// Else it opens a debugger to every user of the host; see keepDebuggersOut.
process.on("SIGUSR1", () => {});
const [, nonce, digest, argument] = process.argv;
const stdin = process.stdin;
const newline = String.fromCharCode(10);
const marker = Buffer.from("farside-bundle " + nonce + " ");
let skipped = Buffer.alloc(0);
let chunks = [];
let have = 0;
let want = -1;
let isDone = false;

const say = (status, code) =>
  process.stdout.write("farside-preamble:" + nonce + ":" + status + newline, () => process.exit(code));
// By "readable", not "data": taking that listener off leaves stdin as the agent expects a fresh one.
const readable = () => {
  for (let chunk = stdin.read(); chunk; chunk = isDone ? null : stdin.read()) take(chunk);
};
const detach = () => { isDone = true; stdin.off("readable", readable); stdin.off("end", ended); };
const fail = (why) => { detach(); say("loader-failed:" + why, 70); };
const ended = () => fail("stdin ended before the bundle was complete");
const take = (chunk) => (want < 0 ? header(chunk) : body(chunk));

// What stands before the marker are newlines that no rc file of the login has read.
const header = (chunk) => {
  skipped = Buffer.concat([skipped, chunk]);
  const at = skipped.indexOf(marker);
  const end = at < 0 ? -1 : skipped.indexOf(10, at);
  if (end < 0) { if (skipped.length > 65536) fail("no marker on stdin"); return; }
  const [length, announced] = skipped.toString("latin1", at + marker.length, end).split(" ");
  want = Number(length);
  if (Number.isSafeInteger(want) === false || want < 1 || want > 33554432) return fail("a false bundle length");
  if (announced === digest) return body(skipped.subarray(end + 1));
  detach();
  say("digest-mismatch", 76);
};
const body = (chunk) => {
  chunks.push(chunk);
  have += chunk.length;
  if (have >= want) run(Buffer.concat(chunks));
};
const run = (all) => {
  detach();
  chunks = [];
  const compressed = all.subarray(0, want);
  const found = require("crypto").createHash("sha256").update(compressed).digest("hex");
  if (found === digest) start(compressed, all.subarray(want));
  else say("digest-mismatch", 76);
};
// A runtime that was sent is executed through a descriptor, which no child shall have.
const letGo = () => {
  const fs = require("fs");
  try {
    const program = fs.readlinkSync("/proc/self/exe");
    if (program.endsWith("(deleted)") === false) return;
    for (const fd of fs.readdirSync("/proc/self/fd").map(Number)) {
      let file = "";
      try { file = fs.readlinkSync("/proc/self/fd/" + fd); } catch {}
      if (file === program) fs.closeSync(fd);
    }
  } catch {}
};
const start = (compressed, rest) => {
  try {
    letGo();
    const source = require("zlib").brotliDecompressSync(compressed, { maxOutputLength: 67108864 }).toString();
    const Module = require("module");
    const agent = new Module("farside-agent.cjs");
    agent.filename = "farside-agent.cjs";
    // Nothing that lies in a folder of the host may be required.
    agent.paths = [];
    if (rest.length > 0) stdin.unshift(rest);
    globalThis[Symbol.for("farside.boot")] = argument ? { nonce, digest, argument, compressed } : { nonce, digest };
    agent._compile(source, "farside-agent.cjs");
  } catch (error) {
    say("loader-failed:" + String(error).split(newline)[0].slice(0, 200), 70);
  }
};
stdin.on("readable", readable);
stdin.on("end", ended);
// What any bundle needs of Node.js, loaded while it is on its way.
setImmediate(() => ["crypto", "zlib", "module", "net", "child_process", "dns/promises", "fs/promises"].forEach((name) => require(name)));
`;

/** The loader as one line. */
export const LOADER = onOneLine(SOURCE);

/** `source` without comment lines, its lines joined by spaces. */
export function onOneLine(source: string): string {
  return source
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("//") && !line.startsWith("# "))
    .join(" ");
}
