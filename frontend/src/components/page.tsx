import { useLocation } from "@tanstack/react-router";
import { useEffect, useRef, type ReactNode } from "react";
import { formatCount } from "@/format/number";
import { Name } from "./name";

const VISIBLE_OVERLAP = 40; // pixels of the previous tab that stay visible

interface Props {
  title: string;
  count?: number | null;
  children?: ReactNode;
}

/** The heading of a page. It also sets the title of the browser tab. */
export function PageHeader({ title, count, children }: Props) {
  usePageTitle(title);
  return (
    <div className="mb-4 flex min-h-8.5 flex-wrap items-center justify-between gap-x-4 gap-y-2">
      <h1 className="min-w-0 text-xl font-semibold tracking-tight">
        <Name>{title}</Name>{" "}
        {count != null && (
          <span className="ml-1 font-normal text-faint tabular-nums">{formatCount(count)}</span>
        )}
      </h1>
      <div className="flex flex-wrap gap-2">{children}</div>
    </div>
  );
}

export function usePageTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Drover`;
    return () => {
      document.title = "Drover";
    };
  }, [title]);
}

/** Scrolls a row of tabs to the tab of the open page, if the row is wider than the screen. */
export function useTabInView() {
  const row = useRef<HTMLElement>(null);
  const path = useLocation({ select: ({ pathname }) => pathname });
  useEffect(() => {
    const tab = row.current?.querySelector<HTMLElement>("[aria-current=page]");
    if (row.current && tab)
      row.current.scrollLeft = tab.offsetLeft - row.current.offsetLeft - VISIBLE_OVERLAP;
  }, [path]);
  return row;
}
