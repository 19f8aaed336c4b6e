/**
 * Running a plugin: find the file, hand it the variables and the configuration, take what it says.
 *
 * Two ways lead to a plugin's code. The ordinary one is a process of its own. The other is a call within this process, for a plugin that
 * is ours and whose file in CNI_PATH is our own program: then nothing is gained by starting another copy of it, and in a chain of five
 * plugins four starts are saved. Both give the plugin the same variables and the same bytes on stdin.
 */
import { childProcess, fs, paths } from "./builtin.ts";
import type { Environment } from "./environment.ts";
import { CniError, ErrorCode, messageOf } from "./errors.ts";
import { respond, type Plugin } from "./skel.ts";

/** One call of a plugin. */
export interface ExecRequest {
  /** The plugin's file. */
  path: string;
  /** The whole environment of the plugin, CNI_COMMAND and the others included. */
  env: Environment;
  stdin: string;
  /** Stops the plugin when it fires. */
  signal?: AbortSignal;
  /** Stops the plugin after so long; absent or 0: never. */
  timeoutMs?: number;
}

/** How the call ended. */
export interface ExecOutcome {
  /** The exit code, or the name of the signal that ended the plugin. */
  status: number | string;
  stdout: string;
  stderr: string;
}

/** Runs a plugin for a runtime. Throws CniError 11 when it was stopped, 5 when it could not be started. */
export type Exec = (request: ExecRequest) => Promise<ExecOutcome>;

/** Runs a plugin for another plugin, which waits. Throws as Exec does. */
export type SyncExec = (request: ExecRequest) => ExecOutcome;

/** What one call was and how it went, for a person who wants to see it. */
export interface ExecTrace extends ExecOutcome {
  plugin: string;
  /** ADD, DEL, … */
  command: string;
  stdin: string;
  durationMs: number;
}

/**
 * The file of a plugin: the first folder that has a regular file of that name. Whether it can be executed shows when it is.
 * Throws CniError 4. Specification: "Plugin delegation protocol".
 */
export function findInPath(plugin: string, path: readonly string[]): string {
  const refuse = (message: string): CniError => new CniError(ErrorCode.INVALID_ENVIRONMENT, message);
  if (plugin === "") throw refuse("no plugin name provided");
  if (plugin.includes("/") || plugin.includes(paths().sep)) throw refuse(`invalid plugin name: ${plugin}`);
  if (path.length === 0) throw refuse("no paths provided");
  const extensions = process.platform === "win32" ? [".exe", ""] : [""];
  for (const file of path.flatMap((dir) => extensions.map((extension) => paths().join(dir, plugin + extension)))) {
    if (isFile(file)) return file;
  }
  throw refuse(`failed to find plugin ${JSON.stringify(plugin)} in path [${path.join(" ")}]`);
}

/** Runs the plugin as a process. */
export const processExec: Exec = async (request) => {
  for (let attempt = 1; ; attempt++) {
    try {
      return await runProcess(request);
    } catch (error) {
      if (!isBusy(error) || attempt >= BUSY_ATTEMPTS) throw startFailure(request.path, error);
      await new Promise((resolve) => setTimeout(resolve, BUSY_PAUSE_MS));
    }
  }
};

/** Runs the plugin as a process and waits for it. */
export const processExecSync: SyncExec = ({ path, env, stdin, timeoutMs = 0 }) => {
  for (let attempt = 1; ; attempt++) {
    const { error, status, signal, stdout, stderr } = childProcess().spawnSync(path, [], {
      env: { ...env }, input: stdin, maxBuffer: Infinity, timeout: timeoutMs, killSignal: "SIGKILL",
    });
    if (error && "code" in error && error.code === "ETIMEDOUT") throw stopped(path, env, `after ${timeoutMs} ms`, error);
    if (!error) return { status: status ?? signal ?? 0, stdout: stdout.toString(), stderr: stderr.toString() };
    if (!isBusy(error) || attempt >= BUSY_ATTEMPTS) throw startFailure(path, error);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BUSY_PAUSE_MS);
  }
};

/**
 * Calls the plugins that `resolve` knows by the path of their file, and hands the others on. What a plugin writes to its own
 * process's streams stays there; warnings of the frame come back as stderr. A plugin in this process cannot be stopped half-way:
 * signal and time limit count for the others.
 */
export function inProcessExec(resolve: (pluginPath: string) => Plugin | undefined, fallback: Exec = processExec): Exec {
  return async (request) => {
    const plugin = resolve(request.path);
    if (!plugin) return fallback(request);
    if (request.signal?.aborted) throw stopped(request.path, request.env, "by the caller", request.signal.reason);
    const { exitCode, stdout, stderr } = respond(plugin, { env: request.env, stdin: () => request.stdin });
    return { status: exitCode, stdout, stderr };
  };
}

/** Reports every call that ends, well or not; one that could not be made is thrown as before and not reported. */
export function tracedExec(exec: Exec, report: (trace: ExecTrace) => void): Exec {
  return async (request) => {
    const start = performance.now();
    const outcome = await exec(request);
    const { path, env, stdin } = request;
    report({
      ...outcome, plugin: paths().basename(path), command: env["CNI_COMMAND"] ?? "", stdin, durationMs: performance.now() - start,
    });
    return outcome;
  };
}

// While a plugin's file is being replaced the kernel refuses to run it (ETXTBSY): installers copy over running nodes.
const BUSY_ATTEMPTS = 50;
const BUSY_PAUSE_MS = 100;

function runProcess({ path, env, stdin, signal, timeoutMs = 0 }: ExecRequest): Promise<ExecOutcome> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(stopped(path, env, "by the caller", signal.reason));
    const child = childProcess().spawn(path, [], { env: { ...env }, stdio: "pipe" });
    const chunks: { stdout: Uint8Array[]; stderr: Uint8Array[] } = { stdout: [], stderr: [] };
    child.stdout.on("data", (chunk: Uint8Array) => chunks.stdout.push(chunk));
    child.stderr.on("data", (chunk: Uint8Array) => chunks.stderr.push(chunk));
    // A plugin that does not read its stdin to the end (VERSION need not) closes the pipe under us.
    child.stdin.on("error", () => child.stdin.destroy());
    child.stdin.end(stdin);

    const stop = (how: string, cause?: unknown): void => {
      finish();
      child.kill("SIGKILL");
      // A process that the plugin started may hold the pipes open: we wait for it no more.
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
      reject(stopped(path, env, how, cause));
    };
    const onAbort = (): void => stop("by the caller", signal?.reason);
    const timer = timeoutMs > 0 ? setTimeout(stop, timeoutMs, `after ${timeoutMs} ms`) : undefined;
    const finish = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    };
    signal?.addEventListener("abort", onAbort);
    child.on("error", (error) => {
      finish();
      reject(error);
    });
    child.on("close", (code, name) => {
      finish();
      resolve({ status: code ?? name ?? 0, stdout: joined(chunks.stdout), stderr: joined(chunks.stderr) });
    });
  });
}

function joined(chunks: Uint8Array[]): string {
  return Buffer.concat(chunks).toString();
}

function stopped(path: string, env: Environment, how: string, cause: unknown): CniError {
  const verb = (env["CNI_COMMAND"] ?? "").toLowerCase();
  return new CniError(ErrorCode.TRY_AGAIN, `plugin ${JSON.stringify(paths().basename(path))} was stopped in ${verb} ${how}`, { cause });
}

function startFailure(path: string, error: unknown): CniError {
  if (error instanceof CniError) return error;
  return new CniError(ErrorCode.IO_FAILURE, `Cannot run ${JSON.stringify(path)}: ${messageOf(error)}`, { cause: error });
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ETXTBSY";
}

function isFile(path: string): boolean {
  try {
    return fs().statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
  } catch {
    return false; // a folder that may not be searched: the next one may have it
  }
}
