type Env = Readonly<Record<string, string | undefined>>;

type BarStyle = "blocks" | "ascii";

/** Returns block characters if the locale is UTF-8. */
export function barStyle(env: Env): BarStyle {
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || "";
  return /utf-?8/i.test(locale) && env.TERM !== "dumb" && env.TERM !== "linux" ? "blocks" : "ascii";
}

const eighths = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/** Returns a bar for `share` (0 to 1) in `width` cells. A share above zero is always visible. */
export function bar(share: number, width: number, style: BarStyle): string {
  if (share <= 0) return "";
  if (style === "ascii") return "#".repeat(Math.max(1, Math.round(share * width)));
  const parts = Math.max(1, Math.round(share * width * 8));
  return "█".repeat(Math.floor(parts / 8)) + eighths[parts % 8];
}
