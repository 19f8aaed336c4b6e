/**
 * What a plugin says when it cannot do what was asked.
 *
 * A CNI plugin has one way to complain: a JSON object on stdout, a number and a sentence, and exit code 1. The number is for
 * the runtime (is it worth trying again? is the container gone anyway?), the sentence for the person who reads the pod's events.
 */

/** Codes below 100 belong to the specification, section "Error"; 8 and 999 are customs of Go's library. From 100 on: the plugin's own. */
export const ErrorCode = {
  /** The configuration is in a version that this plugin does not speak. */
  INCOMPATIBLE_VERSION: 1,
  /** The configuration has a field that is not supported; the message names key and value. */
  UNSUPPORTED_FIELD: 2,
  /** The container is unknown: the runtime need not clean up. */
  UNKNOWN_CONTAINER: 3,
  /** A CNI_… variable is missing or malformed. */
  INVALID_ENVIRONMENT: 4,
  /** Reading or writing failed, for example stdin. */
  IO_FAILURE: 5,
  /** JSON, or a version, that does not parse. */
  DECODING_FAILURE: 6,
  /** JSON that parses and still makes no sense. */
  INVALID_CONFIG: 7,
  /** CNI_NETNS is the namespace that the plugin itself runs in. */
  INVALID_NETNS: 8,
  /** Something passing stands in the way; the same request may work in a moment. */
  TRY_AGAIN: 11,
  /** STATUS: the plugin cannot serve ADD. */
  PLUGIN_NOT_AVAILABLE: 50,
  /** STATUS: the plugin cannot serve ADD, and containers that are attached may have lost connectivity, too. */
  LIMITED_CONNECTIVITY: 51,
  /** Everything that was not foreseen. */
  INTERNAL: 999,
} as const;

/** An error as it is printed: `details` is left out when there is none. */
export interface ErrorObject {
  code: number;
  msg: string;
  details?: string;
}

/** The one error that leaves a plugin. `message` is the specification's "msg": one line, whatever values are in it, without a final full stop. */
export class CniError extends Error {
  override readonly name = "CniError";
  readonly code: number;
  readonly details: string | undefined;

  /** @param options `details`: a longer text for the reader; `cause`: what led here, told in the details when there are none. */
  constructor(code: number, message: string, options: { details?: string; cause?: unknown } = {}) {
    super(oneLine(message), options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.details = options.details;
  }

  /** The printed form (specification, section "Error"). */
  toJSON(): ErrorObject {
    const details = this.details ?? causes(this);
    return { code: this.code, msg: this.message, ...(details && { details }) };
  }
}

/** Whatever was thrown, as a CNI error: the first one in the chain of causes, or a new one with code 999. */
export function toCniError(thrown: unknown): CniError {
  for (let error = thrown; error instanceof Error; error = error.cause) {
    if (error instanceof CniError) return error;
  }
  return new CniError(ErrorCode.INTERNAL, oneLine(messageOf(thrown)), { cause: thrown instanceof Error ? thrown.cause : undefined });
}

/** The text of anything thrown: an error's message, or the value itself. Never fails, whatever the value. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message || thrown.name;
  if (typeof thrown === "string") return thrown;
  try {
    return String(thrown);
  } catch (error) {
    return error instanceof Error ? `a value that cannot be shown (${error.name})` : "a value that cannot be shown";
  }
}

/** A text with its line ends folded to spaces: messages go into logs that are read line by line. */
export function oneLine(text: string): string {
  return text.trim().replace(/\s*[\r\n\u2028\u2029]\s*/g, " ");
}

/** What the causes add to a message that has not said it already, outermost first. */
function causes(error: Error): string {
  const said = [error.message];
  const seen = new Set<unknown>();
  for (let cause = error.cause; cause !== undefined && cause !== null && !seen.has(cause);) {
    seen.add(cause);
    const text = oneLine(messageOf(cause));
    if (!said.some((earlier) => earlier.includes(text))) said.push(text);
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return said.slice(1).join(": ");
}
