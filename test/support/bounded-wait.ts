/** Waits of the test harness. Each one has a limit, and says in a sentence what it waited for. */

/** Answers what `promise` answers, or throws `message` after `timeoutMs`. The work itself is not stopped. */
export async function withDeadline<T>(promise: Promise<T>, timeoutMs: number, message: string): Promise<T> {
  const { promise: expired, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`${message} within ${timeoutMs} ms.`)), timeoutMs);
  try {
    return await Promise.race([promise, expired]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks `check` every `pollMs` until it answers true; throws `message` after `timeoutMs`. */
export async function waitUntil(
  check: () => boolean | Promise<boolean>,
  timeoutMs: number,
  message: string,
  pollMs = 20,
): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (true) {
    const leftMs = Math.max(1, endMs - performance.now());
    if (await withDeadline(Promise.resolve(check()), leftMs, message)) return;
    if (performance.now() + pollMs > endMs) throw new Error(`${message} within ${timeoutMs} ms.`);
    await Bun.sleep(pollMs);
  }
}
