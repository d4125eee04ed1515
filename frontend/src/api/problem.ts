interface FieldProblem {
  field: string;
  message: string;
  code?: string;
}

/** The headers of a response, by name. */
export type ResponseHeaders = Pick<Headers, "get">;

/** An error response (RFC 9457). `message` says what happened, `nextStep` what the user can do. */
export class ProblemError extends Error {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly fields: FieldProblem[];
  /** The seconds to wait, if the server sent them. */
  readonly retryAfter: number | null;
  /** The id of the request, which the server's log lines have too; null if the response has none. */
  readonly requestId: string | null;
  /** The whole response body. Some operations send additional members, such as the id of a live run. */
  readonly body: Record<string, unknown>;

  constructor(status: number, body: unknown, headers: ResponseHeaders | null = null) {
    const problem = isRecord(body) ? body : {};
    const title = nonEmptyText(problem.title) ?? statusTitle(status);
    super(nonEmptyText(problem.detail) ?? title);
    this.name = "ProblemError";
    this.status = status;
    this.title = title;
    this.code = nonEmptyText(problem.code) ?? String(status);
    this.fields = Array.isArray(problem.errors) ? problem.errors.filter(isFieldProblem) : [];
    const retryAfter = headers?.get("Retry-After") ?? null;
    this.requestId = headers?.get("X-Request-ID") ?? null;
    this.retryAfter = retryAfter !== null && /^\d+$/.test(retryAfter) ? Number(retryAfter) : null;
    this.body = problem;
  }

  get nextStep(): string | null {
    if (this.status === 429) {
      return this.retryAfter === null
        ? "Wait a moment, then try again."
        : `Try again in ${this.retryAfter} seconds.`;
    }
    if (this.status === 401) return "Log in again.";
    if (this.status === 403) return "Ask an admin of your organization for this permission.";
    if (this.status === 412) return "The page shows it as it is now. Check it, then try again.";
    if (this.status >= 500)
      return "Try again. If the error persists, contact the operator of this Drover installation.";
    return null;
  }
}

/** Thrown if the browser received no response from the server. */
export class OfflineError extends Error {
  constructor() {
    super("The server cannot be reached.");
    this.name = "OfflineError";
  }
}

/** Why the dashboard itself has not done something, in a sentence for the user. */
export class ActionRefused extends Error {
  override readonly name = "ActionRefused";
}

interface ErrorDescription {
  title: string;
  nextStep: string | null;
}

/** Whether the object does not exist, or is not for this user. */
export function isNotFound(error: unknown): boolean {
  return error instanceof ProblemError && error.status === 404;
}

/** The data of one object, or undefined if it was deleted meanwhile: its old data must not be shown then. */
export function dataIfFound<Data>(data: Data | undefined, error: unknown): Data | undefined {
  return isNotFound(error) ? undefined : data;
}

const DELETION_POLL_INTERVAL = 15_000; // milliseconds

/**
 * The `refetchInterval` of the query of an open page, so that it says soon that its object was deleted. No event tells it.
 */
export function pollUntilDeleted({ state }: { state: { error: unknown } }): number | false {
  return isNotFound(state.error) ? false : DELETION_POLL_INTERVAL;
}

/** The message if the name is already in use, or null. Show it at the field of the name. */
export function nameTakenMessage(error: unknown): string | null {
  return error instanceof ProblemError && error.code === "name_taken" ? error.message : null;
}

/** Whether somebody else has changed the object since the user began to edit it. Nothing was saved then. */
export function isChangedMeanwhile(error: unknown): error is ProblemError {
  return error instanceof ProblemError && error.status === 412;
}

/** The title and the next step to show for any thrown value. */
export function describeError(error: unknown): ErrorDescription {
  if (isChangedMeanwhile(error))
    return {
      title: "Somebody else has changed this meanwhile, so nothing was done.",
      nextStep: error.nextStep,
    };
  if (error instanceof ProblemError) return { title: error.message, nextStep: error.nextStep };
  if (error instanceof OfflineError) {
    return { title: error.message, nextStep: "Check your network connection, then try again." };
  }
  if (error instanceof ActionRefused) return { title: error.message, nextStep: null };
  return { title: "Something went wrong on this page.", nextStep: "Reload the page and try again." };
}

/** The id of a request that the server could not process, or null. Other errors are explained by their message. */
export function requestIdOf(error: unknown): string | null {
  return error instanceof ProblemError && error.status >= 500 ? error.requestId : null;
}

/** The error's messages by field. The fields are the server's paths, such as `source.config.port`. */
export function fieldMessages(error: unknown): Record<string, string> {
  if (!(error instanceof ProblemError)) return {};
  return Object.fromEntries(error.fields.map(({ field, message }) => [field, message]));
}

/** The messages of all fields below `path`, with their paths relative to it. */
export function messagesBelow(messages: Record<string, string>, path: string): Record<string, string> {
  const prefix = `${path}.`;
  return Object.fromEntries(
    Object.entries(messages)
      .filter(([field]) => field.startsWith(prefix))
      .map(([field, message]) => [field.slice(prefix.length), message]),
  );
}

function statusTitle(status: number): string {
  if (status === 401) return "You are not logged in.";
  if (status === 403) return "You don't have permission to do this.";
  if (status === 404) return "This does not exist or belongs to another organization.";
  if (status === 429) return "Too many requests.";
  if (status >= 500) return "The server could not process the request.";
  return "The request was refused.";
}

function isFieldProblem(value: unknown): value is FieldProblem {
  return isRecord(value) && typeof value.field === "string" && typeof value.message === "string";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function nonEmptyText(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}
