import { useState } from "react";
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
  return (
    <>
      {error && <ErrorNotice error={error} />}
      {(!data || hasNextPage) && (
        <Button
          size="small"
          className="justify-self-center"
          disabled={isFetching}
          onClick={() => (isRequested ? void fetchNextPage() : setIsRequested(true))}
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
