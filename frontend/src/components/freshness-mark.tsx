import type { ReactNode } from "react";
import type { Freshness } from "@/api/types";
import { classNames } from "./class-names";

const LOOKS: Record<Freshness, { text: string; dot: string }> = {
  fresh: { text: "text-good", dot: "bg-good rounded-full" },
  late: { text: "text-wait", dot: "bg-wait rotate-45" },
  failing: { text: "text-bad", dot: "bg-bad" },
  none: { text: "text-faint", dot: "border border-current rounded-full" },
};

interface Props {
  freshness: Freshness;
  title?: string;
  children: ReactNode;
}

/** A freshness in its color, after a dot in its shape. */
export function FreshnessMark({ freshness, title, children }: Props) {
  const look = LOOKS[freshness];
  return (
    <span className={classNames("flex min-w-0 items-center gap-1.5", look.text)} title={title}>
      <span aria-hidden="true" className={classNames("size-1.5 shrink-0", look.dot)} />
      {children}
    </span>
  );
}
