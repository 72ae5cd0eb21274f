/** The last part of the options of everything that waits. */
export interface AbortOptions {
  readonly signal?: AbortSignal | undefined;
}
