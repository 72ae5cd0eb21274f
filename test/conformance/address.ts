/** Where an end listens, or connects to: TCP, or a unix socket. */
export type Address = { readonly host: string; readonly port: number } | { readonly path: string };
