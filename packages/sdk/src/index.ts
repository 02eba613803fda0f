export {
  type InProject,
  type Keys,
  type Logs,
  type Organizations,
  type Page,
  type Projects,
  type PublicKeys,
  type Queries,
  type Revocation,
  SazabiAdmin,
  type SazabiAdminOptions,
  type SecretKeys,
  type Threads,
} from "./admin.ts";
export type { Audit, AuditFault, AuditPage, AuditVerification, VerifyOptions } from "./audit.ts";
export { defaultBaseUrl, readBaseUrl } from "./base-url.ts";
export { keyFaults } from "./credential.ts";
export { SazabiApiError, SazabiConnectionError, type SazabiErrorCode, SazabiTimeoutError } from "./errors.ts";
export { type Intake, Sazabi, type SazabiOptions } from "./ingest.ts";
// The contract without the query language, whose parser only who asks for it should have to load.
export * from "./protocol/audit.ts";
export * from "./protocol/durations.ts";
export * from "./protocol/errors.ts";
export * from "./protocol/keys.ts";
export * from "./protocol/levels.ts";
export * from "./protocol/log-reading.ts";
export * from "./protocol/resources.ts";
export * from "./protocol/saved-queries.ts";
export * from "./protocol/scopes.ts";
export type { TailGap, TailOptions, TailRequest } from "./tail.ts";
export type {
  ConnectionOptions,
  CreateOptions,
  FetchAnswer,
  FetchInit,
  FetchLike,
  RequestOptions,
  Wait,
} from "./transport.ts";
