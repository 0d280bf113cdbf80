/** Milliseconds that never go back. */
export const now = (): number => performance.now();

export type Timer = ReturnType<typeof setTimeout>;

/** How long to wait after so many failures in a row: full jitter, 0.5 s at most after the first, 10 s after many. */
export const pauseAfter = (failures: number): number =>
  failures && Math.random() * Math.min(10_000, 250 * 2 ** failures);

/** Returns what runs this at the end of the turn, once for all calls in it. */
export const onceATurn = (run: () => void): () => void => {
  let isScheduled = false;
  return () => {
    if (isScheduled) return;
    isScheduled = true;
    queueMicrotask(() => {
      isScheduled = false;
      run();
    });
  };
};

/** Calls what others gave; what it throws, or a promise of it rejects with, is logged and breaks nothing of ours. */
export const callBack = async <T>(callback: ((value: T) => unknown) | undefined, value: T): Promise<void> => {
  try {
    await callback?.(value);
  } catch (error) {
    console.error('A callback has thrown', error);
  }
};
