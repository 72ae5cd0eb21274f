import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { createGunzip } from "node:zlib";

/** An advisory as npm's registry gives it. */
export interface MadeUpAdvisory {
  readonly id: number;
  readonly url: string;
  readonly title: string;
  readonly severity: "low" | "moderate" | "high" | "critical";
  readonly vulnerable_versions: string;
}

/** By package; or the HTTP status of a registry without an audit; or no answer at all. */
export type AuditAnswer = Readonly<Record<string, readonly MadeUpAdvisory[]>> | number | "silence";

/** A registry on loopback that answers npm's bulk audit, and knows one version of each package that it is asked for. */
export class MadeUpRegistry {
  /** What was asked about: versions by package, one entry a request. */
  readonly asked: Record<string, readonly string[]>[] = [];
  readonly #server = createServer((request, response) => {
    const isAudit = request.method === "POST" && request.url === "/-/npm/v1/security/advisories/bulk";
    if (!isAudit) return answer(response, packument(request.url ?? ""));
    json(request.headers["content-encoding"] === "gzip" ? request.pipe(createGunzip()) : request)
      .then((body) => {
        this.asked.push(body as Record<string, readonly string[]>);
        if (this.#answer === "silence") return;
        if (typeof this.#answer === "number") response.writeHead(this.#answer).end();
        else answer(response, this.#answer);
      })
      .catch((error: unknown) => response.destroy(error as Error));
  });
  readonly #answer: AuditAnswer;

  static async open(answer: AuditAnswer): Promise<MadeUpRegistry> {
    const registry = new MadeUpRegistry(answer);
    registry.#server.listen(0, "127.0.0.1");
    await once(registry.#server, "listening");
    return registry;
  }

  private constructor(answer: AuditAnswer) {
    this.#answer = answer;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function answer(response: ServerResponse, body: unknown): void {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
}

/** npm asks for it where there is an advisory, to see which versions are affected. */
function packument(path: string): unknown {
  const name = decodeURIComponent(path.slice(1));
  const version = { name, version: "1.0.0", dist: { tarball: "http://127.0.0.1/none.tgz" } };
  return { name, "dist-tags": { latest: "1.0.0" }, versions: { "1.0.0": version } };
}
