// Loaded before the service: from here on its wall clock is wrong by SKEW_MS. Its monotonic clock is not.
const skewMs = Number(process.env["SKEW_MS"]);
const RightDate = globalThis.Date;

class SkewedDate extends RightDate {
  constructor(...given: [] | [string | number | Date]) {
    super(given.length === 0 ? SkewedDate.now() : (given[0] as number));
  }

  static override now(): number {
    return RightDate.now() + skewMs;
  }
}

globalThis.Date = SkewedDate as DateConstructor;
