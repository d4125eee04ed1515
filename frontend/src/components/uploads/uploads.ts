/** The uploads of this tab. They go on while the user looks at other pages of the same organization. */
import { useSyncExternalStore } from "react";
import { newIdempotencyKey } from "@/api/client";
import { ProblemError } from "@/api/problem";
import { onSessionChange, openSession } from "@/api/session";
import type { DataFile } from "@/api/types";
import { sendContent } from "@/api/upload";
import { formatBytes } from "@/format/number";
import { fetchLimits, findFileByName } from "./queries";

/** The states of an upload. `exists` waits for the user: a file has the name already. */
export type UploadState =
  | { status: "waiting" }
  | { status: "sending"; sentBytes: number }
  | { status: "exists"; existing: DataFile }
  | { status: "done" }
  | { status: "failed"; error: unknown };

export interface Upload {
  id: number;
  name: string;
  content: File;
  /** The file whose content is replaced, or null for a new file. */
  replaced: DataFile | null;
  state: UploadState;
}

const MAX_AT_ONCE = 2; // the server allows a few more to each organization
const DONE_DURATION = 8_000; // milliseconds for which a complete upload is shown

let uploads: readonly Upload[] = [];
let lastId = 0;
const controllers = new Map<number, AbortController>();
const listeners = new Set<() => void>();
const completionListeners = new Set<(upload: Upload) => void>();

export function useUploads(): readonly Upload[] {
  return useSyncExternalStore(subscribe, () => uploads);
}

/** Whether the user may upload files: they belong to the whole organization, not to a domain. */
export function mayUpload(): boolean {
  return openSession()?.organization?.permissions.includes("connectors.edit") ?? false;
}

/** Calls the listener when a file was stored. Returns a function that removes it. */
export function onUploadComplete(listener: (upload: Upload) => void): () => void {
  completionListeners.add(listener);
  return () => completionListeners.delete(listener);
}

/** Uploads new files, or with `replaced` the new content of one file. Returns the ids of the uploads. */
export function startUploads(contents: Iterable<File>, replaced: DataFile | null = null): number[] {
  const ids: number[] = [];
  for (const content of contents) {
    lastId += 1;
    ids.push(lastId);
    const name = replaced?.name ?? content.name.normalize("NFC");
    setUploads([...uploads, { id: lastId, name, content, replaced, state: { status: "waiting" } }]);
  }
  sendNext();
  return ids;
}

/** Replaces the file that has the name of this upload. */
export function replaceExisting(upload: Upload): void {
  if (upload.state.status !== "exists") return;
  change(upload.id, { replaced: upload.state.existing, state: { status: "waiting" } });
  sendNext();
}

export function retryUpload({ id }: Upload): void {
  change(id, { state: { status: "waiting" } });
  sendNext();
}

/** Cancels the upload if it is not complete, and removes it from the list. */
export function dismissUpload(id: number): void {
  controllers.get(id)?.abort();
  setUploads(uploads.filter((upload) => upload.id !== id));
  sendNext();
}

function sendNext(): void {
  const sending = uploads.filter(({ state }) => state.status === "sending").length;
  const waiting = uploads.filter(({ state }) => state.status === "waiting");
  for (const upload of waiting.slice(0, Math.max(0, MAX_AT_ONCE - sending))) void send(upload);
}

async function send(upload: Upload): Promise<void> {
  const controller = new AbortController();
  controllers.set(upload.id, controller);
  change(upload.id, { state: { status: "sending", sentBytes: 0 } });
  try {
    await requireBelowLimit(upload.content);
    const existing = upload.replaced ? null : await findFileByName(upload.name);
    if (existing) return change(upload.id, { state: { status: "exists", existing } });
    await sendContent<DataFile>({
      ...requestOf(upload),
      content: upload.content,
      signal: controller.signal,
      onProgress: (sentBytes) => change(upload.id, { state: { status: "sending", sentBytes } }),
    });
    change(upload.id, { state: { status: "done" } });
    completionListeners.forEach((listener) => listener(upload));
    setTimeout(() => dismissUpload(upload.id), DONE_DURATION);
  } catch (error) {
    if (!controller.signal.aborted) change(upload.id, { state: { status: "failed", error } });
  } finally {
    controllers.delete(upload.id);
    sendNext();
  }
}

/** Throws before a file is sent that is too large: a browser cannot read a response while it is sending. */
async function requireBelowLimit({ size }: File): Promise<void> {
  const { max_file_bytes, max_bytes, used_bytes } = await fetchLimits();
  if (size > max_file_bytes)
    throw new ProblemError(413, { detail: `A file may have at most ${formatBytes(max_file_bytes)}.` });
  if (size > max_bytes)
    throw new ProblemError(409, {
      detail: `Your organization may store ${formatBytes(max_bytes)}, of which ${formatBytes(used_bytes)} are used.`,
    });
}

function requestOf({ name, replaced }: Upload) {
  if (replaced) {
    const headers = { "If-Match": `"${replaced.version}"` };
    return { method: "PUT" as const, path: `/api/v1/files/${replaced.id}`, headers };
  }
  const headers = { "Idempotency-Key": newIdempotencyKey() };
  return { method: "POST" as const, path: `/api/v1/files?name=${encodeURIComponent(name)}`, headers };
}

function change(id: number, fields: Partial<Upload>): void {
  setUploads(uploads.map((upload) => (upload.id === id ? { ...upload, ...fields } : upload)));
}

function setUploads(next: readonly Upload[]): void {
  uploads = next;
  listeners.forEach((listener) => listener());
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

let organizationId: string | undefined;

// Uploads belong to one organization, so cancel them when the user logs out or switches to another one.
onSessionChange(() => {
  const openedId = openSession()?.organization?.id;
  if (organizationId !== undefined && openedId !== organizationId)
    uploads.forEach(({ id }) => dismissUpload(id));
  organizationId = openedId;
});

// Ask before the tab is closed, because that would cancel the uploads.
globalThis.addEventListener?.("beforeunload", (event) => {
  if (uploads.some(({ state }) => state.status === "sending" || state.status === "waiting"))
    event.preventDefault();
});
