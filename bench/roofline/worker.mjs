/** One thread of the roofline: reads its buffer again and again for as long as it is asked to, and says how fast. */

import { reader } from "./module.mjs";

let buffer;

self.onmessage = async ({ data }) => {
  if (data.bytes !== undefined) {
    buffer = { bytes: data.bytes, ...(await reader(data.bytes)) };
    for (let warmUp = 0; warmUp < 4; warmUp += 1) buffer.read();
    self.postMessage({ ready: true });
    return;
  }
  const begun = performance.now();
  let [passes, ms] = [0, 0];
  while (ms < data.ms) {
    const sum = buffer.read();
    if (sum !== buffer.bytes / 4) throw new Error(`the buffer's sum is ${sum}, expected ${buffer.bytes / 4}`);
    passes += 1;
    ms = performance.now() - begun;
  }
  self.postMessage({ gbPerS: (passes * buffer.bytes) / ms / 1e6 });
};
