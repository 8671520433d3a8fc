// SIGINT and SIGTERM while sampling: stop between two steps; a second signal exits at once.
export function stopSampling(): {signal: AbortSignal; release(): void} {
  const control = new AbortController();
  const onSignal = () => {
    if (control.signal.aborted) process.exit(130);
    control.abort();
  };
  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const name of signals) process.on(name, onSignal);
  return {
    signal: control.signal,
    release() {
      for (const name of signals) process.off(name, onSignal);
    },
  };
}
