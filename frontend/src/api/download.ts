import { ProblemError } from "./problem";
import { authorizedFetch } from "./session";

const SAVE_TIMEOUT = 60_000; // milliseconds that the browser has to begin saving the file

/** Downloads a file from the API and saves it. A plain link cannot send the bearer token. */
export async function downloadFile(path: string, name: string): Promise<void> {
  const response = await authorizedFetch(new Request(new URL(path, location.href)));
  if (!response.ok)
    throw new ProblemError(response.status, await response.json().catch(() => null), response.headers);
  saveFile(await response.blob(), name);
}

/** Lets the browser save a file. */
export function saveFile(content: Blob, name: string): void {
  const objectUrl = URL.createObjectURL(content);
  Object.assign(document.createElement("a"), { href: objectUrl, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(objectUrl), SAVE_TIMEOUT);
}
