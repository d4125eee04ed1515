import { useQuery } from "@tanstack/react-query";
import { useCallback } from "react";
import type { PipelineFilter } from "./filter";
import type { KindName } from "./items";
import { facetsQuery } from "./queries";

/** Returns a function that names the kinds of sources and destinations in the list. The counts of the filters know them. */
export function useKindNames(filter: PipelineFilter): KindName {
  const facets = useQuery(facetsQuery(filter)).data;
  return useCallback(
    (role, kind) => {
      const known = facets?.[role].find(({ value }) => value === kind);
      return known?.label ?? (kind.startsWith("custom-") ? "custom source" : kind);
    },
    [facets],
  );
}
