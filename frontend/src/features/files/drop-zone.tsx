import { useState, type DragEvent, type ReactNode } from "react";
import { classNames } from "@/components/class-names";
import { ChooseFiles } from "@/components/uploads/choose-files";
import { startUploads } from "@/components/uploads/uploads";

/** An area on which files can be dropped. Its button opens the browser's dialog, also for users of the keyboard. */
export function DropZone({ hint }: { hint: ReactNode }) {
  const [isOver, setIsOver] = useState(false);
  function dropFiles(event: DragEvent) {
    event.preventDefault();
    setIsOver(false);
    startUploads(event.dataTransfer.files);
  }
  return (
    <section
      aria-label="Upload files"
      className={classNames(
        "mb-4 flex flex-wrap items-center justify-center gap-x-3 gap-y-2 rounded-card border border-dashed px-4 py-5 text-soft",
        isOver ? "border-brand bg-hover" : "border-line-strong",
      )}
      onDragOver={(event) => {
        event.preventDefault();
        setIsOver(true);
      }}
      onDragLeave={() => setIsOver(false)}
      onDrop={dropFiles}
    >
      <span className="max-sm:hidden">Drop files here, or</span>
      <ChooseFiles label="Choose files" onChoose={(files) => startUploads(files)} multiple look="primary" />
      <p className="w-full text-center text-[0.8125rem] text-faint">{hint}</p>
    </section>
  );
}
