/** Keeps a half-made pipeline in this tab, so that it outlasts a reload, another page and the end of the session. */
import { useEffect, useState } from "react";
import type { KeptSettings } from "@/components/connectors/kept-settings";
import { useKept, type Kept } from "@/components/use-kept";
import { NO_PATTERNS } from "@/format/patterns";
import { EMPTY_DRAFT, type Draft } from "./draft";

interface Progress {
  draft: Draft;
  openStep: number;
  furthestStep: number;
}

const BEGINNING: Progress = { draft: EMPTY_DRAFT, openStep: 0, furthestStep: 0 };

/** The progress of a new pipeline. It has no secrets: source and destination are saved connectors, and those that are
 * not saved yet are kept without them. */
export function useKeptProgress() {
  const kept: Kept<Partial<Progress>> = useKept("new-pipeline");
  const source: Kept<KeptSettings> = useKept("new-pipeline.source");
  const destination: Kept<KeptSettings> = useKept("new-pipeline.destination");
  const [progress, setProgress] = useState<Progress>(() => validProgress(kept.read()));
  const [isContinued, setIsContinued] = useState(() => progress !== BEGINNING || source.read() !== null);
  const [round, setRound] = useState(0);
  useEffect(() => {
    if (progress !== BEGINNING) kept.write(progress);
  }, [kept, progress]);

  /** Forgets the kept pipeline, because it was created or is not wanted. */
  function forget() {
    for (const part of [kept, source, destination]) part.forget();
  }
  return {
    progress,
    setProgress,
    forget,
    /** How many times the user has started over. Use it as the key of what has a state of its own. */
    round,
    /** Whether the user began this pipeline before the page was opened. */
    isContinued,
    startOver: () => {
      forget();
      setProgress(BEGINNING);
      setRound(round + 1);
      setIsContinued(false);
    },
  };
}

function validProgress(kept: Partial<Progress> | null): Progress {
  const { draft, openStep = 0, furthestStep = 0 } = kept ?? {};
  if (!draft?.source?.connectorId || !draft.streams) return BEGINNING;
  // A page of an older release may have kept it, without the settings that are new.
  const patterns = draft.patterns && { ...NO_PATTERNS, ...draft.patterns };
  return { draft: { ...EMPTY_DRAFT, ...draft, patterns }, openStep, furthestStep };
}
