#!/usr/bin/env node
import { runBundle } from "./run-bundle.ts";
import { hasWorkingFolder } from "./working-folder.ts";

if (!hasWorkingFolder()) {
  process.stderr.write(
    "error[config.invalid]: starting farside: the folder that it is started in is gone\nhint: cd to one that is there.\n",
  );
  // Of `run` every other code is the command's.
  process.exit(process.argv[2] === "run" ? 125 : 78);
}
if (!runBundle(import.meta.url)) await import("./program.ts");
