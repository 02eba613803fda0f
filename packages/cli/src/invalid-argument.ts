/** What the parser of an option throws; commander, which is not loaded for this, knows it by its code. */
export class InvalidArgument extends Error {
  readonly code = "commander.invalidArgument";
  readonly exitCode = 1;
}
