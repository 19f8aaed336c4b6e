/**
 * The way back from a half-made attachment. Each step of ADD that makes something says at once how to unmake it; when a later step
 * fails, the steps are undone in reverse, as a cable is unplugged before its switch is taken away.
 */

/** What a plugin sees: a place to put the way back. */
export interface Undo {
  /** Registers a step that runs when ADD fails, the last one first. It is forgotten when ADD succeeds. */
  defer(step: () => void): void;
}

/** What the frame sees, too. */
export interface UndoStack extends Undo {
  /** Runs the steps, last first, each once. A step that fails does not keep the others from running; gives what they threw. */
  run(): unknown[];
}

export function createUndo(): UndoStack {
  const steps: (() => void)[] = [];
  return {
    defer(step) {
      steps.push(step);
    },
    run() {
      const failures: unknown[] = [];
      for (let step = steps.pop(); step; step = steps.pop()) {
        try {
          step();
        } catch (error) {
          failures.push(error);
        }
      }
      return failures;
    },
  };
}
