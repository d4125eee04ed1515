import type { ButtonHTMLAttributes, Ref } from "react";
import { classNames } from "./class-names";

type Look = "primary" | "plain" | "quiet" | "danger";
type Size = "small" | "normal" | "icon";

const LOOKS: Record<Look, string> = {
  primary: "bg-primary text-on-primary hover:bg-primary-hover border-transparent",
  plain: "bg-surface text-ink border-line-strong hover:bg-hover",
  quiet: "bg-transparent text-soft border-transparent hover:bg-hover hover:text-ink",
  danger: "bg-surface text-bad border-line-strong hover:bg-bad-wash",
};
const SIZES: Record<Size, string> = {
  small: "h-7 px-2 text-[0.8125rem] gap-1.5",
  normal: "h-8.5 px-3 gap-2",
  icon: "size-8 justify-center",
};

/** The CSS classes of a button, also for links that look like a button. */
export function buttonClasses(look: Look = "plain", size: Size = "normal"): string {
  return classNames(
    "inline-flex items-center rounded-control border font-medium whitespace-nowrap select-none transition-colors",
    "aria-disabled:opacity-55 disabled:opacity-55",
    LOOKS[look],
    SIZES[size],
  );
}

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: Look;
  size?: Size;
  /** Why the button is disabled, or null. The button stays focusable, so that a `Hint` around it can show the reason. */
  disabledReason?: string | null;
  ref?: Ref<HTMLButtonElement>;
}

export function Button({
  look,
  size,
  disabledReason,
  className,
  onClick,
  type = "button",
  ...attributes
}: Props) {
  return (
    <button
      type={type}
      className={classNames(buttonClasses(look, size), className)}
      aria-disabled={disabledReason ? true : undefined}
      {...attributes}
      onClick={disabledReason ? (event) => event.preventDefault() : onClick}
    />
  );
}
