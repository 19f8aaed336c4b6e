/**
 * The way back from a half-made attachment. Each step of ADD that makes something says at once how to unmake it; when a later step
 * fails, the steps are undone in reverse, as a cable is unplugged before its switch is taken away.
 */

/** What a plugin sees: a place to put the way back. */
export interface Undo {
  /** Registers a step that runs when ADD fails, the last one first. It is forgotten when ADD succeeds. */
  defer(step: () => void): void;
  /**
   * Keeps open what the steps after it need, a namespace's sockets say, and closes it when they have run or ADD has succeeded.
   * (A plain `using` in ADD would close it on the way out, before the first step.)
   */
  use<T extends Disposable>(resource: T): T;
}

/** What the frame sees, too. */
export interface UndoStack extends Undo {
  /** Runs the steps, last first, each once. A step that fails does not keep the others from running; gives what they threw. */
  run(): unknown[];
  /** Forgets the steps, and closes what was kept open for them; gives what that threw, which takes nothing back. */
  forget(): unknown[];
}

export function createUndo(): UndoStack {
  const steps: Step[] = [];
  return {
    defer: (step) => void steps.push({ isOnlyForFailure: true, step }),
    use(resource) {
      steps.push({ isOnlyForFailure: false, step: () => resource[Symbol.dispose]() });
      return resource;
    },
    run: () => taken(steps, () => true),
    forget: () => taken(steps, ({ isOnlyForFailure }) => !isOnlyForFailure),
  };
}

interface Step {
  isOnlyForFailure: boolean;
  step: () => void;
}

/** Takes the steps off the stack, last first, and those that are wanted; gives what they threw. */
function taken(steps: Step[], isWanted: (step: Step) => boolean): unknown[] {
  const failures: unknown[] = [];
  for (let next = steps.pop(); next; next = steps.pop()) {
    if (!isWanted(next)) continue;
    try {
      next.step();
    } catch (error) {
      failures.push(error);
    }
  }
  return failures;
}
