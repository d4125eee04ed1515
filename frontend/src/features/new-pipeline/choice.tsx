import { classNames } from "@/components/class-names";

interface ChoiceProps {
  group: string;
  title: string;
  text?: string;
  checked: boolean;
  onChoose: () => void;
}

/** One card of a group, of which the user chooses one. */
export function Choice({ group, title, text, checked, onChoose }: ChoiceProps) {
  return (
    <label
      className={classNames(
        "flex min-h-14 cursor-pointer items-start gap-2.5 rounded-card border px-3 py-2",
        "has-[:focus-visible]:outline-2 has-[:focus-visible]:outline-offset-2 has-[:focus-visible]:outline-live",
        checked ? "border-live bg-live-wash" : "border-line bg-surface hover:bg-hover",
      )}
    >
      <input
        type="radio"
        name={group}
        className="mt-1 accent-live outline-none"
        checked={checked}
        onChange={onChoose}
      />
      <span className="min-w-0">
        <span className="block truncate font-medium">{title}</span>
        {text && <span className="line-clamp-3 text-xs text-soft">{text}</span>}
      </span>
    </label>
  );
}
