declare const FARSIDE_VERSION: string | undefined;

/** Version of farside that this bundle was made from; `source` where it runs unbundled. */
export const agentVersion: string = typeof FARSIDE_VERSION === "string" ? FARSIDE_VERSION : "source";
