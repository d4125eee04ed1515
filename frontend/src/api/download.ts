import { ProblemError } from "./problem";
import { authorizedFetch } from "./session";

const KEPT = 60_000; // milliseconds the browser has to begin saving

/** Save a file of the API. A plain link cannot carry the bearer token, so the file passes through the page. */
export async function downloadFile(path: string, name: string): Promise<void> {
  const response = await authorizedFetch(new Request(new URL(path, location.href)));
  if (!response.ok) throw new ProblemError(response.status, await response.json().catch(() => null));
  const address = URL.createObjectURL(await response.blob());
  Object.assign(document.createElement("a"), { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), KEPT);
}
