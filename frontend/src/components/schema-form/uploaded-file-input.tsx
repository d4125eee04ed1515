import { useQuery } from "@tanstack/react-query";
import { useId } from "react";
import { api, unwrap } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import { suggestPatterns } from "./file-patterns";

interface Props {
  control: object;
  value: string;
  placeholder: string | undefined;
  onChange: (value: string) => void;
}

const MAX_FILES = 200; // the newest ones are offered; the user can type the name of any other

/** An input for an uploaded file, a pattern for several, or a web address. It offers the newest uploaded files. */
export function UploadedFileInput({ control, value, placeholder, onChange }: Props) {
  const listId = useId();
  const { data } = useQuery({
    queryKey: queryKeys.files.names,
    queryFn: ({ signal }) =>
      unwrap(api.GET("/api/v1/files", { params: { query: { limit: MAX_FILES } }, signal })),
  });
  const names = data?.results.map(({ name }) => name) ?? [];
  return (
    <>
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
      <datalist id={listId}>
        {[...names, ...suggestPatterns(names)].map((option) => (
          <option key={option} value={option} />
        ))}
      </datalist>
      <p className="text-xs text-faint">
        {data && names.length === 0 ? "No files are uploaded yet. " : ""}
        <a href="/files" target="_blank" className="underline">
          Upload files
        </a>{" "}
        (opens in a new tab)
      </p>
    </>
  );
}
