/** Measures one job where the engine brings no worker of its own. */

import { type Job, measure } from "./measure.js";

self.onmessage = async ({ data }: MessageEvent<Job>) => self.postMessage(await measure(data));
