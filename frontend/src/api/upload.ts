/** Sends the content of files. `fetch` does not report how much of a body was sent, so this uses XMLHttpRequest. */
import { OfflineError, ProblemError, type ResponseHeaders } from "./problem";
import { accessToken, refreshSession } from "./session";

interface UploadRequest {
  method: "POST" | "PUT";
  path: string;
  content: Blob;
  headers?: Record<string, string>;
  /** Called with the number of bytes that were sent. */
  onProgress: (sentBytes: number) => void;
  signal: AbortSignal;
}

/** Returns the body of the response. Throws a `ProblemError`, or an `AbortError` after the signal. */
export async function sendContent<Answer>(request: UploadRequest): Promise<Answer> {
  const answer = await sendOnce(request, await accessToken());
  if (answer.status !== 401 || !(await refreshSession())) return unwrapAnswer(answer);
  return unwrapAnswer(await sendOnce(request, await accessToken()));
}

interface Answer {
  status: number;
  body: unknown;
  headers: ResponseHeaders;
}

function unwrapAnswer<Body>({ status, body, headers }: Answer): Body {
  if (status >= 400) throw new ProblemError(status, body, headers);
  return body as Body;
}

function sendOnce(
  { method, path, content, headers, onProgress, signal }: UploadRequest,
  token: string | null,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(abortError());
    const request = new XMLHttpRequest();
    request.open(method, path);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.setRequestHeader("X-Requested-With", "drover");
    if (token) request.setRequestHeader("Authorization", `Bearer ${token}`);
    for (const [name, value] of Object.entries(headers ?? {})) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded }) => onProgress(loaded);
    request.onload = () =>
      resolve({
        status: request.status,
        body: parseJson(request.responseText),
        headers: { get: (name) => request.getResponseHeader(name) },
      });
    request.onerror = () => reject(new OfflineError());
    request.onabort = () => reject(abortError());
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(content);
  });
}

function abortError(): DOMException {
  return new DOMException("The upload was cancelled.", "AbortError");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
