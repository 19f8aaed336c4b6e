/** What a command that stays waits for. */

/** The first of these signals that comes. */
export function endOf(signals: readonly NodeJS.Signals[]): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  for (const name of signals) process.on(name, () => resolve(name));
  return promise;
}
