import { useEffect, useState } from "react";
import { SearchIcon } from "@/components/icons";

const TYPING_DELAY = 250; // milliseconds without typing after which the text is passed on

interface Props {
  label: string;
  value: string;
  onChange: (value: string) => void;
}

/** A field that searches the list of a page. `value` is the text in the URL. */
export function SearchField({ label, value, onChange }: Props) {
  const [text, setText] = useState(value);
  const [lastValue, setLastValue] = useState(value);
  if (lastValue !== value) {
    setLastValue(value); // the URL was changed, for example by the back button or "Clear filters"
    setText(value);
  }
  useEffect(() => {
    if (text.trim() === value) return;
    const timer = setTimeout(() => onChange(text.trim()), TYPING_DELAY);
    return () => clearTimeout(timer);
  }); // no dependencies, so that the timer always calls the current onChange
  return (
    <div className="relative w-full sm:w-64">
      <SearchIcon className="absolute top-2.5 left-2.5 text-faint" />
      <input
        data-search
        type="search"
        aria-label={label}
        placeholder="Search (press /)"
        className="control pl-8!"
        value={text}
        onChange={({ target }) => setText(target.value)}
      />
    </div>
  );
}
