/** What a pass wrote, and what it could not: in lines for a person, and without stopping at the first fault. */
import { KernelError, type Failure } from "@vethwork/linux";

export interface Log {
  changes: string[];
  problems: string[];
  change(line: string): void;
  /** Does many changes at once, tells of each that was done, and makes a problem of each that failed. */
  series<T>(items: readonly T[], tell: (item: T) => string, work: (items: readonly T[]) => Failure[]): void;
  /** Does one thing; what the kernel refuses is a problem, in the kernel's words or others, and undefined. */
  attempt<T>(work: () => T, say?: (error: KernelError) => string): T | undefined;
}

export function createLog(): Log {
  const [changes, problems]: [string[], string[]] = [[], []];
  return {
    changes,
    problems,
    change: (line) => void changes.push(line),
    series: (items, tell, work) => {
      if (items.length === 0) return;
      const failed = new Map(work(items).map(({ index, error }) => [index, error]));
      for (const [index, item] of items.entries()) {
        const error = failed.get(index);
        if (error) problems.push(error.message);
        else changes.push(tell(item));
      }
    },
    attempt: (work, say = ({ message }) => message) => {
      try {
        return work();
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        problems.push(say(error));
        return undefined;
      }
    },
  };
}
