export {
  type InProject,
  type Logs,
  type Organizations,
  type Page,
  type Projects,
  type PublicKeys,
  SazabiAdmin,
  type SazabiAdminOptions,
  type SecretKeys,
  type Threads,
} from "./admin.ts";
export { keyFaults } from "./credential.ts";
export { SazabiApiError, SazabiConnectionError, type SazabiErrorCode, SazabiTimeoutError } from "./errors.ts";
export { type Intake, Sazabi, type SazabiOptions } from "./ingest.ts";
export * from "./protocol/index.ts";
export {
  type ConnectionOptions,
  type CreateOptions,
  defaultBaseUrl,
  type FetchAnswer,
  type FetchInit,
  type FetchLike,
  type RequestOptions,
  readBaseUrl,
  type Wait,
} from "./transport.ts";
