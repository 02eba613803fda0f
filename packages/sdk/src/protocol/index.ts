export * from "./audit.ts";
export * from "./durations.ts";
export * from "./entry-aliases.ts";
export * from "./errors.ts";
export { endOfJsonString, parseExactJson } from "./exact-json.ts";
export {
  builtInField,
  type Column,
  canonicalId,
  columns,
  type FieldReference,
  fieldAliases,
  resolveField,
} from "./fields.ts";
export * from "./keys.ts";
export * from "./levels.ts";
export * from "./line-level.ts";
export * from "./log-reading.ts";
export * from "./query/index.ts";
export * from "./resources.ts";
export * from "./saved-queries.ts";
export * from "./scopes.ts";
export * from "./timestamp.ts";
export * from "./wrapped-entries.ts";
