import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useEffectEvent, useId, useState } from "react";
import { api, unwrap } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import { ChooseFiles } from "@/components/uploads/choose-files";
import { UploadList } from "@/components/uploads/upload-list";
import { mayUpload, onUploadComplete, startUploads } from "@/components/uploads/uploads";
import { suggestPatterns } from "./file-patterns";

interface Props {
  control: object;
  value: string;
  placeholder: string | undefined;
  onChange: (value: string) => void;
}

const MAX_FILES = 200; // the newest ones are offered; the user can type the name of any other

/**
 * An input for an uploaded file, a pattern for several, or a web address. It offers the newest uploaded files, and uploads
 * one here: its name is the value as soon as it is stored.
 */
export function UploadedFileInput({ control, value, placeholder, onChange }: Props) {
  const listId = useId();
  const canUpload = mayUpload();
  const { data } = useQuery({
    queryKey: queryKeys.files.names,
    queryFn: ({ signal }) =>
      unwrap(api.GET("/api/v1/files", { params: { query: { limit: MAX_FILES } }, signal })),
  });
  const upload = useUploadHere(onChange);
  const names = data?.results.map(({ name }) => name) ?? [];
  return (
    <>
      <div
        className="flex gap-2"
        onDragOver={(event) => event.preventDefault()}
        onDrop={(event) => {
          event.preventDefault();
          if (canUpload) upload.start([...event.dataTransfer.files]);
        }}
      >
        <input
          className="control"
          autoComplete="off"
          spellCheck={false}
          list={listId}
          {...control}
          value={value}
          placeholder={placeholder}
          onChange={({ target }) => onChange(target.value)}
        />
        {canUpload && <ChooseFiles label="Upload a file" onChoose={upload.start} />}
      </div>
      <datalist id={listId}>
        {[...names, ...suggestPatterns(names)].map((option) => (
          <option key={option} value={option} />
        ))}
      </datalist>
      {upload.id !== null && <UploadList only={upload.id} />}
      <p className="text-xs text-faint">
        {data && names.length === 0 ? "No files are uploaded yet. " : ""}
        {canUpload && "Drop a file on the field, or choose an uploaded one. "}
        <a href="/files" target="_blank" className="underline">
          All files
        </a>{" "}
        (opens in a new tab)
      </p>
    </>
  );
}

/** Uploads one file for this field, and calls `onStored` with its name when it is stored. */
function useUploadHere(onStored: (name: string) => void) {
  const [id, setId] = useState<number | null>(null);
  const client = useQueryClient();
  const store = useEffectEvent((uploadId: number, name: string) => {
    if (uploadId !== id) return;
    onStored(name);
    void client.invalidateQueries({ queryKey: queryKeys.files.all });
  });
  useEffect(() => onUploadComplete((upload) => store(upload.id, upload.name)), []);
  return { id, start: (files: File[]) => setId(startUploads(files.slice(0, 1))[0] ?? null) };
}
