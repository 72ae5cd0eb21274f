#!/usr/bin/env node
import { runBundle } from "./run-bundle.ts";

if (!runBundle(import.meta.url)) await import("./program.ts");
