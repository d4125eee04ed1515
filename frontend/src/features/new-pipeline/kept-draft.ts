/** Keeps a half-made pipeline in this tab, so that it outlasts a reload, another page and the end of the session. */
import { useEffect, useState } from "react";
import { useSession } from "@/session/use-session";
import { NO_PATTERNS } from "@/format/patterns";
import { EMPTY_DRAFT, type Draft } from "./draft";

const KEY = "drover.new-pipeline";

interface Progress {
  draft: Draft;
  openStep: number;
  furthestStep: number;
}

const BEGINNING: Progress = { draft: EMPTY_DRAFT, openStep: 0, furthestStep: 0 };

/** The progress of a new pipeline. It has no secrets: source and destination are saved connectors. */
export function useKeptProgress() {
  const session = useSession();
  const owner = `${session?.user.id ?? ""}/${session?.organization?.id ?? ""}`;
  const [progress, setProgress] = useState<Progress>(() => readProgress(owner));
  const [isContinued, setIsContinued] = useState(progress !== BEGINNING);
  useEffect(() => {
    if (progress !== BEGINNING) sessionStorage.setItem(KEY, JSON.stringify({ owner, ...progress }));
  }, [owner, progress]);
  return {
    progress,
    setProgress,
    /** Whether the user began this pipeline before the page was opened. */
    isContinued,
    startOver: () => {
      forgetProgress();
      setProgress(BEGINNING);
      setIsContinued(false);
    },
  };
}

/** Forgets the kept pipeline, because it was created. */
export function forgetProgress(): void {
  sessionStorage.removeItem(KEY);
}

function readProgress(owner: string): Progress {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "null") as (Progress & { owner: string }) | null;
    if (!kept || kept.owner !== owner || !kept.draft.source?.connectorId || !kept.draft.streams)
      return BEGINNING;
    const { draft, openStep, furthestStep } = kept;
    // A page of an older release may have kept it, without the settings that are new.
    const patterns = draft.patterns && { ...NO_PATTERNS, ...draft.patterns };
    return { draft: { ...EMPTY_DRAFT, ...draft, patterns }, openStep, furthestStep };
  } catch {
    return BEGINNING;
  }
}
