import { useRef, useState, type DragEvent, type ReactNode } from "react";
import { Button } from "@/components/button";
import { classNames } from "@/components/class-names";
import { UploadIcon } from "@/components/icons";
import { startUploads } from "./uploads";

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

interface ChooseProps {
  label: ReactNode;
  onChoose: (files: File[]) => void;
  multiple?: boolean;
  look?: "primary";
  size?: "small";
}

/** A button that opens the browser's dialog for files. */
export function ChooseFiles({ label, onChoose, multiple, look, size }: ChooseProps) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <input
        ref={input}
        type="file"
        multiple={multiple}
        hidden
        onChange={({ target }) => {
          const files = [...(target.files ?? [])];
          target.value = "";
          onChoose(files);
        }}
      />
      <Button look={look} size={size} onClick={() => input.current?.click()}>
        {look === "primary" && <UploadIcon className="-ml-0.5" />}
        {label}
      </Button>
    </>
  );
}
