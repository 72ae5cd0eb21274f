/** Asks the npm registry what is known against the packages of a lock, by `npm audit` itself. */
import { execFile } from "node:child_process";

export interface AuditFinding {
  readonly package: string;
  /** The affected versions, as the advisory gives them. */
  readonly range: string;
  readonly severity: string;
  readonly title: string;
  /** Where the advisory stands. */
  readonly url: string;
  /** Whether it reaches who uses farside, or only who builds and tests it. */
  readonly reaches: "product" | "development";
}

export type AuditResult =
  | { readonly outcome: "clean" }
  | { readonly outcome: "found"; readonly findings: readonly AuditFinding[] }
  /** The registry has no audit, can't be reached or said nothing in time: nothing is known, neither good nor bad. */
  | { readonly outcome: "no-answer"; readonly reason: string };

export interface NpmAuditOptions {
  /** Folder with package.json and package-lock.json. */
  readonly folder: string;
  /** Default: npm's own configuration. */
  readonly registry?: string;
  readonly environment?: NodeJS.ProcessEnv;
  /** How long each of at most two runs of npm may take. Default 30 seconds. */
  readonly deadlineMs?: number;
}

/** Audits all dependencies of a lock; each finding says whether the product has it too. Rejects where npm fails for another reason than the registry. */
export async function npmAudit(options: NpmAuditOptions): Promise<AuditResult> {
  const all = await auditReport(options, ["--include=dev", "--include=optional", "--include=peer"]);
  if (typeof all === "string") return { outcome: "no-answer", reason: all };
  const advisories = advisoriesOf(all);
  if (advisories.size === 0) return { outcome: "clean" };
  const product = await auditReport(options, ["--omit=dev"]);
  if (typeof product === "string") return { outcome: "no-answer", reason: product };
  const inProduct = advisoriesOf(product);
  const findings = [...advisories].map(([key, advisory]) => ({
    ...advisory,
    reaches: inProduct.has(key) ? ("product" as const) : ("development" as const),
  }));
  return { outcome: "found", findings };
}

/** What `npm audit --json` prints (auditReportVersion 2): `via` has the advisories, and names of packages that only depend on such. */
interface AuditReport {
  readonly auditReportVersion: 2;
  readonly vulnerabilities: Readonly<Record<string, { readonly via: readonly (Advisory | string)[] }>>;
}

interface Advisory {
  readonly name: string;
  readonly title: string;
  readonly url: string;
  readonly severity: string;
  readonly range: string;
}

/** The report, or why there is none. */
async function auditReport(
  options: NpmAuditOptions,
  which: readonly string[],
): Promise<AuditReport | string> {
  const { folder, registry, environment = process.env, deadlineMs = 30_000 } = options;
  const how = ["--fetch-retries=0", `--fetch-timeout=${deadlineMs}`, "--no-update-notifier", "--logs-max=0"];
  // Offline, npm would ask nobody and report that nothing was found.
  how.push("--no-offline", ...(registry === undefined ? [] : [`--registry=${registry}`]));
  const printed = await new Promise<string | undefined>((resolve, reject) => {
    const settings = { cwd: folder, env: environment, timeout: deadlineMs, maxBuffer: 64 * 1024 * 1024 };
    execFile("npm", ["audit", "--json", ...which, ...how], settings, (error, stdout) => {
      if (error?.killed) resolve(undefined);
      else if (error !== null && stdout === "") reject(error);
      // Its exit code only says whether there is a finding or an error; which one, what it prints says.
      else resolve(stdout);
    });
  });
  if (printed === undefined) return `no answer within ${deadlineMs} ms`;
  const report: unknown = JSON.parse(printed);
  if (isAuditReport(report)) return report;
  if (isRegistryError(report)) return report.message;
  throw new Error(`npm audit failed: ${printed}`);
}

function isAuditReport(report: unknown): report is AuditReport {
  return (
    typeof report === "object" &&
    report !== null &&
    "auditReportVersion" in report &&
    report.auditReportVersion === 2
  );
}

/** npm prints an error of the audit endpoint with its message at the top, and each other error below `error`. */
function isRegistryError(report: unknown): report is { readonly message: string } {
  return (
    typeof report === "object" && report !== null && "message" in report && typeof report.message === "string"
  );
}

function advisoriesOf({ vulnerabilities }: AuditReport): Map<string, Omit<AuditFinding, "reaches">> {
  const advisories = Object.values(vulnerabilities).flatMap(({ via }) =>
    via.filter((entry) => typeof entry !== "string"),
  );
  return new Map(
    advisories.map(({ name, title, url, severity, range }) => [
      `${name} ${range} ${url}`,
      { package: name, range, severity, title, url },
    ]),
  );
}
