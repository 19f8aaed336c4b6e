/** What the repository holds: every file that git knows or would take, so that a rule meets a file before its commit. */
import { existsSync, lstatSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

export const root = join(import.meta.dir, "../..");

/** One text file of the repository. */
export interface RepositoryFile {
  /** From the repository's top, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

/** git could not list the files; the house rules have nothing to look at. */
export class NoRepository extends Error {
  override readonly name = "NoRepository";
}

/** Every text file, tracked or about to be; binary ones are left out. Throws NoRepository outside of a checkout. */
export function listFiles(): RepositoryFile[] {
  return listPaths()
    .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }))
    .filter((file) => !file.text.includes("\0"));
}

/** The path of every file, from the repository's top. */
export const listPaths = (): string[] => tracked().filter((path) => existsSync(join(root, path)) && statSync(join(root, path)).isFile());

function tracked(): string[] {
  const git = Bun.spawnSync({
    cmd: ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    cwd: root, stdout: "pipe", stderr: "pipe",
  });
  if (git.exitCode !== 0) throw new NoRepository(`Cannot list the repository's files: ${git.stderr.toString().trim()}`);
  return git.stdout.toString().split("\0").filter((path) => path !== "");
}

/** Links that git knows or would take. */
export const listLinks = (): string[] => tracked().filter((path) => lstatSync(join(root, path), { throwIfNoEntry: false })?.isSymbolicLink());

export const isTypeScript = (file: RepositoryFile): boolean => file.path.endsWith(".ts");
export const isTest = (file: RepositoryFile): boolean => file.path.endsWith(".test.ts");
export const isProduct = (file: RepositoryFile): boolean => file.path.startsWith("packages/") && isTypeScript(file) && !isTest(file);
