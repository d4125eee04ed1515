import { useLayoutEffect, useRef, useState } from "react";
import { Button } from "@/components/button";
import { ErrorNotice } from "@/components/notice";
import { useEarlierTurns } from "./queries";
import { TurnView } from "./turn-view";

interface Props {
  conversationId: string;
  /** The number of the first turn that is shown. */
  before: number;
}

/** The turns before those that the stream has sent. Each click shows some more of them. */
export function EarlierTurns({ conversationId, before }: Props) {
  const [isRequested, setIsRequested] = useState(false);
  const { data, error, fetchNextPage, hasNextPage, isFetching } = useEarlierTurns(
    conversationId,
    before,
    isRequested,
  );
  const turns = data?.pages.toReversed().flatMap((page) => page.turns) ?? [];
  const firstTurn = useRef<Place | null>(null);
  useLayoutEffect(() => {
    if (firstTurn.current) keepInPlace(firstTurn.current);
    firstTurn.current = null;
  }, [turns.length]);

  function showMore(button: Element) {
    const turn = button.nextElementSibling;
    firstTurn.current = turn && { turn, top: turn.getBoundingClientRect().top };
    if (isRequested) void fetchNextPage();
    else setIsRequested(true);
  }

  return (
    <>
      {error && <ErrorNotice error={error} />}
      {(!data || hasNextPage) && (
        <Button
          size="small"
          className="justify-self-center"
          disabledReason={isFetching ? "Loading" : null}
          onClick={({ currentTarget }) => showMore(currentTarget)}
        >
          {isFetching ? "Loading…" : "Show earlier messages"}
        </Button>
      )}
      {turns.map((turn) => (
        <TurnView key={turn.number} conversationId={conversationId} turn={turn} isNewest={false} />
      ))}
    </>
  );
}

/** Where the first turn was in the window before more turns were added above it. */
interface Place {
  turn: Element;
  top: number;
}

/** Scrolls so that the turn stays where it was. If the button had the focus and is gone, the conversation gets it. */
function keepInPlace({ turn, top }: Place): void {
  const region = turn.closest<HTMLElement>("[role=region]");
  if (!region) return;
  region.scrollTop += turn.getBoundingClientRect().top - top;
  if (document.activeElement === document.body) region.focus({ preventScroll: true });
}
