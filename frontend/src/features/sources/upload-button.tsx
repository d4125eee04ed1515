import { useRef } from "react";
import { Button } from "@/components/button";
import { ErrorNotice } from "@/components/notice";
import { OutcomeList } from "./outcome-list";
import { useUploadSources } from "./repository-queries";

type Upload = ReturnType<typeof useUploadSources>;

/** Uploads a .py or .zip file. Show the result with `UploadResult`. */
export function UploadButton({ upload }: { upload: Upload }) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <input
        ref={input}
        type="file"
        accept=".py,.zip"
        aria-label="File to upload"
        hidden
        onChange={({ target }) => {
          const [file] = target.files ?? [];
          target.value = "";
          if (file) upload.mutate(file);
        }}
      />
      <Button disabledReason={upload.isPending ? "Uploading" : null} onClick={() => input.current?.click()}>
        {upload.isPending ? "Uploading…" : "Upload"}
        <span className="sr-only"> a .py file, or a .zip of .py files</span>
      </Button>
    </>
  );
}

export function UploadResult({ upload }: { upload: Upload }) {
  if (upload.error) return <ErrorNotice error={upload.error} />;
  if (!upload.data) return null;
  return (
    <section aria-label="Upload result" role="status" className="card mb-4 grid gap-3 p-4">
      <OutcomeList outcomes={upload.data.results} />
      <div>
        <Button size="small" look="quiet" onClick={() => upload.reset()}>
          Close
        </Button>
      </div>
    </section>
  );
}
