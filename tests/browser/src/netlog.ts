/**
 * Chromium's own network log, read after the browser has ended.
 * @module
 */

import { readFileSync } from "node:fs";

/** A request that left the network service's hands: by any page, worker or frame. */
export interface LoggedRequest {
  url: string;
  /** Milliseconds since 1970. */
  time: number;
}

interface NetLog {
  constants: { timeTickOffset: number | string; logEventTypes: Record<string, number> };
  events: { type: number; time: string; params?: { url?: string; initiator?: string } }[];
}

/** The requests in a log that `--log-net-log` wrote, apart from those that the browser makes for itself. */
export function readNetLog(path: string): LoggedRequest[] {
  const log = JSON.parse(readFileSync(path, "utf8")) as NetLog;
  const started = log.constants.logEventTypes["URL_REQUEST_START_JOB"];
  const offset = Number(log.constants.timeTickOffset);
  return log.events.flatMap(({ type, time, params }) => {
    const ofPage = params?.initiator !== undefined && params.initiator !== "not an origin";
    return type === started && params?.url && ofPage ? [{ url: params.url, time: Number(time) + offset }] : [];
  });
}
