import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import * as v from "valibot";
import type { ForwardCounters } from "../forwarding/forward.ts";
import { AgentMetrics } from "./agent-metrics.ts";

/** A request is a few words. */
const MAX_BODY_BYTES = 4096;

/** What an agent tells of itself. */
export interface AgentFacts {
  /** The session, or the installed agent's name. */
  readonly name: string;
  readonly version: string;
  readonly uptimeMs: number;
  readonly eventsDropped: number;
  readonly forwards: readonly ForwardCounters[];
}

const takeOverRequest = v.object({
  /** The session that takes over. */
  by: v.pipe(v.string(), v.minLength(1), v.maxLength(255)),
  /** `127.0.0.1:4444`, or a socket's path. */
  address: v.pipe(v.string(), v.minLength(1), v.maxLength(4096)),
});
export type TakeOverRequest = v.InferOutput<typeof takeOverRequest>;

export interface AnswerOptions {
  readonly facts: () => AgentFacts;
  /** Lets go of an address; resolves, when it is free, with whether it had it. Default: nobody may ask for that. */
  readonly onTakeOver?: ((request: TakeOverRequest) => Promise<boolean>) | undefined;
}

/**
 * Answers plain HTTP: `GET /metrics`, `GET /healthz` (200 where every forward is open, else 503 and which is not), and, on the
 * control socket only, `POST /take-over`.
 */
export function answerRequests({ facts, onTakeOver }: AnswerOptions): RequestListener {
  const metrics = new AgentMetrics(facts);
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = request.url?.split("?")[0];
    const isGet = request.method === "GET" || request.method === "HEAD";
    if (isGet && path === "/metrics") {
      const text = await metrics.text();
      response.writeHead(200, { "content-type": metrics.contentType }).end(text);
    } else if (isGet && path === "/healthz") {
      const forwards = facts().forwards.map(({ forwardId: id, state }) => ({ id, state: state.phase }));
      const isHealthy = forwards.every(({ state }) => state === "open");
      sendJson(response, isHealthy ? 200 : 503, { status: isHealthy ? "ok" : "degraded", forwards });
    } else if (onTakeOver !== undefined && request.method === "POST" && path === "/take-over") {
      const asked = v.safeParse(takeOverRequest, parseJson(await readBody(request)));
      if (!asked.success) sendJson(response, 400, { error: "not a request to take over" });
      else {
        const hadIt = await onTakeOver(asked.output);
        sendJson(response, hadIt ? 200 : 404, { released: hadIt });
      }
    } else sendJson(response, 404, { error: "there is no such page" });
  };
  return (request, response) => {
    response.on("error", () => undefined);
    answer(request, response).catch(() => {
      if (response.headersSent) response.destroy();
      else sendJson(response, 500, { error: "it failed" });
    });
  };
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(`${JSON.stringify(body)}\n`);
}

async function readBody(request: IncomingMessage): Promise<string> {
  let body = Buffer.alloc(0);
  for await (const chunk of request as AsyncIterable<Buffer>) {
    body = Buffer.concat([body, chunk]);
    if (body.length > MAX_BODY_BYTES) throw new Error("too long");
  }
  return body.toString();
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
