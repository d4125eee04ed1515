/** Whether the server has a newer dashboard than this page. Every response of the API names its release. */

let first: string | null = null;
let isNew = false;
const listeners = new Set<() => void>();

/** Compare the release of a response with that of the first response. */
export function noticeRelease(release: string | null): void {
  if (!release || isNew) return;
  first ??= release;
  if (release === first) return;
  isNew = true;
  listeners.forEach((listener) => listener());
}

export function hasNewRelease(): boolean {
  return isNew;
}

export function onNewRelease(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
