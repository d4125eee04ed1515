import { useEffect, useState } from "react";
import { describeError } from "@/api/problem";
import { Button } from "@/components/button";
import { formatBytes } from "@/format/number";
import {
  dismissUpload,
  onUploadComplete,
  replaceExisting,
  retryUpload,
  useUploads,
  type Upload,
} from "./uploads";

/** The uploads that are not complete, and those that have just been completed. With `only`, the one with this id. */
export function UploadList({ only }: { only?: number }) {
  const uploads = useUploads().filter(({ id }) => only === undefined || id === only);
  return (
    <>
      <Announcement />
      {uploads.length > 0 && (
        <ul aria-label="Uploads" className="card mb-4 divide-y divide-line">
          {uploads.map((upload) => (
            <UploadItem key={upload.id} upload={upload} />
          ))}
        </ul>
      )}
    </>
  );
}

/** Tells users of screen readers that a file was stored. */
function Announcement() {
  const [text, setText] = useState("");
  useEffect(() => onUploadComplete(({ name }) => setText(`${name} was uploaded.`)), []);
  return (
    <p role="status" className="sr-only">
      {text}
    </p>
  );
}

function UploadItem({ upload }: { upload: Upload }) {
  const { id, name, state } = upload;
  return (
    <li className="grid gap-1.5 px-4 py-3">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
        <span className="min-w-0 flex-1 font-medium break-words">{name}</span>
        <UploadStatus upload={upload} />
        {state.status === "exists" && (
          <Button size="small" onClick={() => replaceExisting(upload)}>
            Replace<span className="sr-only"> {name}</span>
          </Button>
        )}
        {state.status === "failed" && (
          <Button size="small" onClick={() => retryUpload(upload)}>
            Try again<span className="sr-only"> to upload {name}</span>
          </Button>
        )}
        <Button size="small" look="quiet" onClick={() => dismissUpload(id)}>
          {isActive(upload) ? "Cancel" : "Dismiss"}
          <span className="sr-only"> the upload of {name}</span>
        </Button>
      </div>
      {state.status === "sending" && <ProgressBar upload={upload} sentBytes={state.sentBytes} />}
      {state.status === "exists" && (
        <p role="alert" className="text-wait">
          A file with this name exists. Replace its content, or dismiss this upload.
        </p>
      )}
      {state.status === "failed" && <FailureText error={state.error} />}
    </li>
  );
}

function isActive({ state }: Upload): boolean {
  return state.status === "sending" || state.status === "waiting";
}

function UploadStatus({ upload: { state, content, replaced } }: { upload: Upload }) {
  if (state.status === "waiting") return <span className="text-faint">Waiting</span>;
  if (state.status === "done") return <span className="text-good">{replaced ? "Replaced" : "Uploaded"}</span>;
  if (state.status !== "sending") return null;
  return (
    <span className="text-soft tabular-nums">
      {state.sentBytes >= content.size
        ? "Storing…"
        : `${formatBytes(state.sentBytes)} of ${formatBytes(content.size)}`}
    </span>
  );
}

function ProgressBar({ upload: { name, content }, sentBytes }: { upload: Upload; sentBytes: number }) {
  const size = Math.max(content.size, 1);
  return (
    <>
      <progress className="sr-only" aria-label={`Upload of ${name}`} max={size} value={sentBytes} />
      <svg viewBox="0 0 100 1" preserveAspectRatio="none" className="h-1.5 w-full" aria-hidden>
        <rect width="100" height="1" className="fill-line" />
        <rect width={Math.min((100 * sentBytes) / size, 100)} height="1" className="fill-live" />
      </svg>
    </>
  );
}

function FailureText({ error }: { error: unknown }) {
  const { title, nextStep } = describeError(error);
  return (
    <p role="alert" className="text-bad">
      {title} {nextStep}
    </p>
  );
}
