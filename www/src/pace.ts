/**
 * Waits for the next frame, so that every token is seen for itself: about 60 a second. A hidden page gets no frames
 * and needs none, so nothing waits there, and who hides a page does not hold up its text.
 */
export function nextFrame(): Promise<void> {
  if (document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    const shown = (): void => {
      cancelAnimationFrame(frame);
      document.removeEventListener("visibilitychange", shown);
      resolve();
    };
    const frame = requestAnimationFrame(shown);
    document.addEventListener("visibilitychange", shown);
  });
}
