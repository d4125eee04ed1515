import { classNames } from "./class-names";

interface Props {
  children: string;
  /** Whether a long name is cut at the end of its line. The tooltip then has the whole name. */
  cut?: boolean;
  /** Another tooltip for a name that is cut. */
  title?: string;
  className?: string;
}

/** A name that a person has given. It has a direction of its own, so that Arabic names do not move what is beside them. */
export function Name({ children, cut = false, title = children, className }: Props) {
  if (!cut) return <bdi className={classNames("wrap-anywhere", className)}>{children}</bdi>;
  return (
    <span dir="auto" title={title} className={classNames("block min-w-0 truncate text-left", className)}>
      {children}
    </span>
  );
}
