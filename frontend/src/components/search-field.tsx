import { useEffect, useState, type InputHTMLAttributes } from "react";
import { isStillTyped } from "@/format/parameter";
import { classNames } from "./class-names";
import { SearchIcon } from "./icons";

const TYPING_DELAY = 250; // milliseconds without typing after which the text is passed on

interface InputProps extends Omit<InputHTMLAttributes<HTMLInputElement>, "onChange"> {
  label: string;
  value: string;
  onChange: (text: string) => void;
}

/** A box for searching what is shown. `className` sets its width. The key `/` moves the focus to the first one of a page. */
export function SearchInput({ label, onChange, className = "sm:w-72", ...input }: InputProps) {
  return (
    <div className={classNames("relative w-full", className)}>
      <SearchIcon className="absolute top-[calc(50%-0.5rem)] left-2.5 text-faint" />
      <input
        data-search
        type="search"
        aria-label={label}
        placeholder="Search (press /)"
        {...input}
        className="control pl-8!"
        onChange={({ target }) => onChange(target.value)}
      />
    </div>
  );
}

interface FieldProps {
  label: string;
  value: string;
  /** `replace` says whether the page should replace its entry in the history, see `isStillTyped`. */
  onChange: (value: string, replace: boolean) => void;
}

/** A field that searches the list of a page. `value` is the text in the URL. */
export function SearchField({ label, value, onChange }: FieldProps) {
  const [text, setText] = useState(value);
  const [lastValue, setLastValue] = useState(value);
  if (lastValue !== value) {
    setLastValue(value); // the URL was changed, for example by the back button or "Clear filters"
    setText(value);
  }
  useEffect(() => {
    const typed = text.trim();
    if (typed === value) return;
    const timer = setTimeout(() => onChange(typed, isStillTyped(value, typed)), TYPING_DELAY);
    return () => clearTimeout(timer);
  }); // no dependencies, so that the timer always calls the current onChange
  return <SearchInput label={label} className="sm:w-64" value={text} onChange={setText} />;
}
