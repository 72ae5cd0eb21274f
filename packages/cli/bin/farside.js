#!/usr/bin/env node
// In git, unlike dist/main.js: npm links a bin when it installs, before anything is built.
import "../dist/main.js";
