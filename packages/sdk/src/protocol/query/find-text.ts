import { nativeSteps, type StepMeter } from "./steps.ts";

/** V8 finds a text of this length in linear time; a longer one may cost its length times that of the other. */
const longestForEngine = 128;

/** `text.indexOf(wanted, from)`, in time proportional to the text. */
export function findText(wanted: string, text: string, from: number, meter: StepMeter): number {
  if (wanted.length > longestForEngine) return findLong(wanted, text, from, meter);
  const place = text.indexOf(wanted, from);
  meter.spend(nativeSteps((place < 0 ? text.length : place) - from));
  return place;
}

/** The algorithm of Knuth, Morris and Pratt. */
function findLong(wanted: string, text: string, from: number, meter: StepMeter): number {
  meter.spend(2 * wanted.length + text.length - from);
  const border = bordersOf(wanted);
  let matched = 0;
  for (let place = from; place < text.length; place++) {
    const unit = text.charCodeAt(place);
    while (matched > 0 && wanted.charCodeAt(matched) !== unit) matched = border[matched - 1] as number;
    if (wanted.charCodeAt(matched) === unit) matched += 1;
    if (matched === wanted.length) return place - matched + 1;
  }
  return -1;
}

/** For each beginning of the text: the length of the longest shorter one that it ends with. */
function bordersOf(text: string): Int32Array {
  const border = new Int32Array(text.length);
  let length = 0;
  for (let place = 1; place < text.length; place++) {
    const unit = text.charCodeAt(place);
    while (length > 0 && text.charCodeAt(length) !== unit) length = border[length - 1] as number;
    if (text.charCodeAt(length) === unit) length += 1;
    border[place] = length;
  }
  return border;
}
