import { useEffect, useRef, type ReactNode } from "react";
import { Button } from "@/components/button";

const FIELDS = "input, select, textarea";

interface Props {
  title: string;
  /** What the choice is, such as `New source`. */
  text: string;
  /** Whether the user has just made the choice. The first field then has the focus and is in view. */
  isNew: boolean;
  onChooseAnother: () => void;
  children: ReactNode;
}

/** Replaces the picker by what was chosen in it, with the form that follows. */
export function ChosenConnector({ title, text, isNew, onChooseAnother, children }: Props) {
  const content = useRef<HTMLDivElement>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (isNew) (content.current?.querySelector<HTMLElement>(FIELDS) ?? heading.current)?.focus();
  }, [isNew]);
  return (
    <section aria-label={`${text}: ${title}`} className="grid gap-4">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
        <h3 ref={heading} tabIndex={-1} className="mr-auto min-w-0 font-semibold break-words">
          {title} <span className="ml-1 font-normal text-faint">{text}</span>
        </h3>
        <Button size="small" onClick={onChooseAnother}>
          Choose another
        </Button>
      </div>
      <div ref={content} className="grid gap-4">
        {children}
      </div>
    </section>
  );
}
