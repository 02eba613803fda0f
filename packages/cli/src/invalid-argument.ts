/** The error of an option parser. Commander recognizes it by its code, so commander need not be loaded here. */
export class InvalidArgument extends Error {
  readonly code = "commander.invalidArgument";
  readonly exitCode = 1;
}
