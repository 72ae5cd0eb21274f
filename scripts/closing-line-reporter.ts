import type { Reporter, TestModule } from "vitest/node";

/**
 * Ends a run with `N passed, N failed, N skipped`, the line that any CI can read. A file that fails to load counts as one
 * failure, and so does a `describe` whose hooks fail. Before it stands, by name, each test that gave a reason for being
 * skipped; those whose name says what they need (`[needs root]`) are counted.
 */
export default class ClosingLineReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const named: string[] = [];
    const lacking = new Map<string, number>();
    const count = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    for (const module of modules) {
      for (const part of [module, ...module.children.allSuites()]) {
        if (part.errors().length > 0) count.failed += 1;
      }
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state === "pending") count.skipped += 1;
        else count[result.state] += 1;
        const name = `${module.relativeModuleId} > ${test.fullName}`;
        const need = /\[needs ([^\]]+)\]/.exec(test.fullName)?.[1];
        if (result.state === "skipped" && need !== undefined) {
          lacking.set(need, (lacking.get(need) ?? 0) + 1);
        }
        if (result.state === "skipped" && result.note !== undefined) {
          named.push(`skipped: ${name}: ${result.note}`);
        }
      }
    }
    process.on("exit", () => {
      for (const line of named) process.stdout.write(`${line}\n`);
      for (const [need, times] of lacking) process.stdout.write(`skipped: ${times} that need ${need}\n`);
      process.stdout.write(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped\n`);
    });
  }
}
