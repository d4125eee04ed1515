import type { Order } from "./filter";

interface Column {
  label: string;
  /** The order that a click on the heading chooses. */
  order?: Order;
  /** Where the cell is in the line, and from which width on it is shown. */
  className: string;
}

/** Pixels of a line, in a wide and in a narrow window. */
export const LINE_HEIGHT = 30;
export const NARROW_LINE_HEIGHT = 60;

/** A window narrower than this has two lines for each pipeline. */
export const NARROW_WINDOW = "(width < 48rem)";

/** The widths of the columns, from the narrowest container to the widest. */
export const LINE_CLASSES = [
  "grid items-center gap-x-3 px-3 text-[0.8125rem]",
  "grid-cols-[var(--check)_2.75rem_minmax(0,1fr)_auto_2rem]",
  "md:grid-cols-[var(--check)_2.75rem_minmax(8rem,1fr)_6.125rem_6rem_8.5rem_2rem]",
  "@5xl:grid-cols-[var(--check)_2.75rem_minmax(8rem,1.6fr)_minmax(7rem,1fr)_6rem_6.125rem_6rem_8.5rem_2rem]",
  "@[68rem]:grid-cols-[var(--check)_2.75rem_minmax(8rem,1.5fr)_minmax(5rem,0.9fr)_minmax(5rem,1.1fr)_minmax(7rem,1.1fr)_4.75rem_6.125rem_6rem_3.75rem_8.25rem_2rem]",
].join(" ");

/** In the order of the line. In a narrow window, the runs and the freshness are in a second line, and others are left out. */
export const COLUMNS = {
  check: { label: "", className: "max-md:row-span-2 max-md:row-start-1" },
  route: { label: "From, to", className: "flex items-center gap-1 max-md:col-start-2 max-md:row-start-1" },
  name: {
    label: "Pipeline",
    order: "name",
    className: "flex min-w-0 items-center max-md:col-start-3 max-md:col-span-2 max-md:row-start-1",
  },
  streams: { label: "Streams", className: "hidden truncate text-soft @[68rem]:block" },
  labels: {
    label: "Domain, tags",
    // What does not fit fades out, so that nobody takes the visible tags for all of them.
    className:
      "hidden min-w-0 items-center gap-1 overflow-hidden [mask-image:linear-gradient(to_right,black_calc(100%-0.75rem),transparent)] @[68rem]:flex",
  },
  schedule: { label: "Schedule", className: "hidden truncate text-soft @5xl:block" },
  next: { label: "Next run", order: "next_run", className: "hidden truncate text-soft @5xl:block" },
  runs: {
    label: "Last 14 runs",
    className: "max-md:col-span-2 max-md:col-start-2 max-md:row-start-2",
  },
  last: { label: "Last run", order: "last_run", className: "max-md:hidden" },
  duration: {
    label: "Duration",
    order: "duration",
    className: "hidden truncate text-right text-soft tabular-nums @[68rem]:block",
  },
  freshness: {
    label: "Freshness",
    className: "min-w-0 max-md:col-start-4 max-md:row-start-2",
  },
  action: {
    label: "",
    className: "flex justify-end max-md:col-start-5 max-md:row-span-2 max-md:row-start-1",
  },
} satisfies Record<string, Column>;
