interface FieldProblem {
  field: string;
  message: string;
  code?: string;
}

/** An RFC 9457 answer. `message` is what happened, `next` what to do about it. */
export class ProblemError extends Error {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly fields: FieldProblem[];
  /** Seconds, when the server said how long to wait. */
  readonly retryAfter: number | null;
  /** Everything the server sent, for members that only one operation has (a live run's id). */
  readonly extra: Record<string, unknown>;

  constructor(status: number, body: unknown, retryAfter: string | null = null) {
    const problem = isRecord(body) ? body : {};
    const title = text(problem.title) ?? statusTitle(status);
    super(text(problem.detail) ?? title);
    this.name = "ProblemError";
    this.status = status;
    this.title = title;
    this.code = text(problem.code) ?? String(status);
    this.fields = Array.isArray(problem.errors) ? problem.errors.filter(isFieldProblem) : [];
    this.retryAfter = retryAfter !== null && /^\d+$/.test(retryAfter) ? Number(retryAfter) : null;
    this.extra = problem;
  }

  get next(): string | null {
    if (this.status === 429) {
      return this.retryAfter === null
        ? "Wait a little, then try again."
        : `Try again in ${this.retryAfter} seconds.`;
    }
    if (this.status === 403) return "Ask an admin of the organization for the permission.";
    if (this.status === 412) return "Someone changed it meanwhile: reload and try again.";
    if (this.status >= 500) return "Try again; if it stays, ask whoever runs this installation.";
    return null;
  }
}

/** The server did not answer at all. */
export class OfflineError extends Error {
  constructor() {
    super("The server cannot be reached.");
    this.name = "OfflineError";
  }
}

interface Described {
  title: string;
  next: string | null;
}

/** The message when a name is already another's, which belongs to the name's field. */
export function nameTaken(error: unknown): string | null {
  return error instanceof ProblemError && error.code === "name_taken" ? error.message : null;
}

/** What to show for anything that was thrown. */
export function describe(error: unknown): Described {
  if (error instanceof ProblemError) return { title: error.message, next: error.next };
  if (error instanceof OfflineError) {
    return { title: error.message, next: "Check your connection; this page tries again by itself." };
  }
  return { title: "Something went wrong in this page.", next: "Reload it and try again." };
}

/** Messages by field name; the names are the server's paths, such as `source.config.port`. */
export function fieldMessages(error: unknown): Record<string, string> {
  if (!(error instanceof ProblemError)) return {};
  return Object.fromEntries(error.fields.map(({ field, message }) => [field, message]));
}

/** The messages below one field, with the path of that field taken off. */
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
  if (status === 403) return "You may not do this.";
  if (status === 404) return "This does not exist.";
  if (status === 429) return "Too many requests.";
  if (status >= 500) return "The server could not answer.";
  return "The request was refused.";
}

function isFieldProblem(value: unknown): value is FieldProblem {
  return isRecord(value) && typeof value.field === "string" && typeof value.message === "string";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}
