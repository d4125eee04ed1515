import { useState } from "react";
import { countWithNoun } from "@/format/number";
import { SearchInput } from "./search-field";

const SEARCHED_FROM = 10; // streams; fewer are found by looking
const MAX_SHOWN = 100; // streams, because each is a card

/** A search over streams by name. Returns the names to show, and the field and the note to render around them. */
export function useStreamSearch(streams: string[]) {
  const [text, setText] = useState("");
  const matches = streams.filter((name) => name.toLowerCase().includes(text.trim().toLowerCase()));
  const field =
    streams.length < SEARCHED_FROM ? null : (
      <SearchInput
        label="Search streams"
        placeholder={`Search ${countWithNoun(streams.length, "stream")}`}
        value={text}
        onChange={setText}
      />
    );
  const note =
    matches.length === 0 ? (
      <p className="text-soft">No stream has this name.</p>
    ) : matches.length > MAX_SHOWN ? (
      <p className="text-soft">
        The first {MAX_SHOWN} of {countWithNoun(matches.length, "stream")} are shown. Search to find another
        one.
      </p>
    ) : null;
  return { shown: matches.slice(0, MAX_SHOWN), field, note };
}
