/** A number of bytes for people: decimal units, as file managers and shops use them. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`;
  const units = ["kB", "MB", "GB"];
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value.toFixed(value < 100 && unit > 0 ? 1 : 0)} ${units[unit]}`;
}

/** How far a download is; the total may not be known yet. */
export function formatTransfer(receivedBytes: number, totalBytes: number | undefined): string {
  return totalBytes === undefined
    ? formatBytes(receivedBytes)
    : `${formatBytes(receivedBytes)} of ${formatBytes(totalBytes)}`;
}

/** 3412992 → "3.4 million". */
export function formatCount(count: number): string {
  if (count >= 999_950_000) return `${(count / 1e9).toFixed(1)} billion`;
  if (count >= 1e6) return `${(count / 1e6).toFixed(1)} million`;
  return count.toLocaleString("en");
}

/** Tokens per second, or nothing that could be misread where there is nothing to divide. */
export function formatSpeed(tokens: number, ms: number): string {
  if (tokens < 1 || !(ms > 0)) return "";
  const perSecond = (tokens / ms) * 1000;
  return `${perSecond < 10 ? perSecond.toFixed(1) : Math.round(perSecond).toLocaleString("en")} tokens/s`;
}

/** 1 → "1 token", 7 → "7 tokens". */
export function plural(count: number, noun: string): string {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}
