// @ts-nocheck - the editor and tsc read client.d.ts instead, which points into the sources
/** The browser client, as this server serves it. */
export * from "/auth/client.js";
