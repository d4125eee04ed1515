import { createContext, useContext } from "react";
import type { Versioned } from "@/api/client";
import type { Pipeline } from "@/api/types";
import type { Edits } from "@/components/use-edits";

/** What the tabs of a pipeline's page share. The edits live in the page, so that they outlast a change of the tab. */
interface PipelinePage {
  pipeline: Versioned<Pipeline>;
  canEdit: boolean;
  configuration: Edits;
  schedule: Edits;
}

export const PipelinePageContext = createContext<PipelinePage | null>(null);

export function usePipelinePage(): PipelinePage {
  const page = useContext(PipelinePageContext);
  if (!page) throw new Error("This component belongs on a pipeline's page.");
  return page;
}
