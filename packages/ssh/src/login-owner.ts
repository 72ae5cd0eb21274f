import type { CodedError } from "@farside/protocol";

/** Who is told how an authenticated connection ends. */
export interface LoginOwner {
  /** The connection broke, or the host broke the rules: what uses it must end now. May be called again; the first counts. */
  failed(reason: CodedError): void;
  /** The stream is closed. Channels have not been told yet. */
  closed(): void;
}

/** Keeps how a connection has ended until somebody owns it, and tells the owner, once there is one, at once. */
export class UnownedLogin implements LoginOwner {
  #owner: LoginOwner | undefined;
  #failure: CodedError | undefined;
  #isClosed = false;

  failed(reason: CodedError): void {
    this.#failure ??= reason;
    this.#owner?.failed(reason);
  }

  closed(): void {
    this.#isClosed = true;
    this.#owner?.closed();
  }

  /** Call it once. */
  handOver(owner: LoginOwner): void {
    this.#owner = owner;
    if (this.#failure !== undefined) owner.failed(this.#failure);
    if (this.#isClosed) owner.closed();
  }
}
