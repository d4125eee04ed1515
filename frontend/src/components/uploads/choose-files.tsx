import { useRef, type ReactNode } from "react";
import { Button } from "@/components/button";
import { UploadIcon } from "@/components/icons";

interface ChooseProps {
  label: ReactNode;
  onChoose: (files: File[]) => void;
  multiple?: boolean;
  look?: "primary";
  /** The types that the dialog offers, such as `.csv,.json`. */
  accept?: string;
  size?: "small";
}

/** A button that opens the browser's dialog for files. */
export function ChooseFiles({ label, onChoose, multiple, look, size, accept }: ChooseProps) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <input
        ref={input}
        type="file"
        multiple={multiple}
        accept={accept}
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
