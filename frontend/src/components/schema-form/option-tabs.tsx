import { Tabs } from "radix-ui";
import type { ReactNode } from "react";

interface Props {
  label: string;
  /** The titles of the options. */
  options: string[];
  /** The index of the chosen option, or -1 before the user has chosen one. */
  selected: number;
  onSelect: (index: number) => void;
  /** The fields of the chosen option. */
  children: ReactNode;
}

/** One of several options as tabs. The arrow keys choose another option. */
export function OptionTabs({ label, options, selected, onSelect, children }: Props) {
  return (
    <Tabs.Root
      value={selected < 0 ? "" : String(selected)}
      onValueChange={(value) => onSelect(Number(value))}
      className="grid gap-3"
    >
      <Tabs.List
        aria-label={label}
        className="flex flex-wrap gap-0.5 justify-self-start rounded-control border border-line bg-side p-0.5"
      >
        {options.map((title, index) => (
          <Tabs.Trigger
            key={index}
            value={String(index)}
            className="min-h-7 rounded-[5px] border border-transparent px-2.5 text-[0.8125rem] text-soft hover:text-ink data-[state=active]:border-line-strong data-[state=active]:bg-surface data-[state=active]:font-medium data-[state=active]:text-ink"
          >
            {title}
          </Tabs.Trigger>
        ))}
      </Tabs.List>
      {selected >= 0 && (
        // With a key, controls of another option with the same name do not keep what was typed in these.
        <Tabs.Content key={selected} value={String(selected)} tabIndex={-1} className="empty:hidden">
          {children}
        </Tabs.Content>
      )}
    </Tabs.Root>
  );
}
