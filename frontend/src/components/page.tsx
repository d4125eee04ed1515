import { useLocation } from "@tanstack/react-router";
import { useEffect, useRef, type ReactNode } from "react";
import { formatCount } from "@/format/number";
import { classNames } from "./class-names";
import { Name } from "./name";

const VISIBLE_OVERLAP = 40; // pixels of the previous tab that stay visible

/** Whether the user has come from another page. The first page begins at its top, as the browser opens it. */
let hasNavigated = false;

export function noteNavigation(): void {
  hasNavigated = true;
}

/**
 * The main heading of a page. If the focus was lost with the page before, the heading gets it: the keyboard continues here
 * instead of at the top of the window, and screen readers say where the user is.
 */
export function PageTitle({ className, children }: { className?: string; children: ReactNode }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (hasNavigated && document.activeElement === document.body)
      heading.current!.focus({ preventScroll: true });
  }, []);
  return (
    <h1
      ref={heading}
      tabIndex={-1}
      className={classNames("min-w-0 text-xl font-semibold tracking-tight", className)}
    >
      {children}
    </h1>
  );
}

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
      <PageTitle>
        <Name>{title}</Name>{" "}
        {count != null && (
          <span className="ml-1 font-normal text-faint tabular-nums">{formatCount(count)}</span>
        )}
      </PageTitle>
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
