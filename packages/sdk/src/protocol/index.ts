export * from "./audit.ts";
export * from "./errors.ts";
export * from "./keys.ts";
export * from "./levels.ts";
export * from "./log-reading.ts";
export * from "./query/index.ts";
export * from "./resources.ts";
export * from "./scopes.ts";
