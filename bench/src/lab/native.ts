import { execFile } from "node:child_process";
import { mkdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const source = fileURLToPath(new URL("../../native/", import.meta.url));
const output = fileURLToPath(new URL("../../dist/native/", import.meta.url));

/** The benchmark's C programs and what they are made of. */
const programs = {
  load: ["load.c", "bulk.c", "connections.c", "echo.c"],
  service: ["service.c"],
  "delay-line": ["delay-line.c"],
} as const;

export type NativeProgram = keyof typeof programs;

/** Compiles every program. A second or so; done once a run, so that none is older than its source. */
export async function compilePrograms(): Promise<void> {
  await mkdir(output, { recursive: true });
  await Promise.all(
    Object.entries(programs).map(([name, files]) =>
      promisify(execFile)("gcc", ["-O2", "-Wall", "-Werror", "-o", pathOf(name as NativeProgram), ...files], {
        cwd: source,
      }),
    ),
  );
}

export const pathOf = (name: NativeProgram): string => `${output}${name}`;

export const readProgram = (name: NativeProgram): Promise<Buffer> => readFile(pathOf(name));
