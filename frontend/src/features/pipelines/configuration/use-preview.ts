import { useMutation } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import type { PreviewRequest } from "@/api/types";

/** Previews up to ten records of a saved stream with rules and transforms that are not saved yet. */
export function usePreview(id: string, stream: string) {
  return useMutation({
    mutationFn: (unsaved: Pick<PreviewRequest, "fields" | "transforms">) =>
      unwrap(
        api.POST("/api/v1/pipelines/{id}/preview", {
          params: { path: { id } },
          body: { stream, max_records: 10, ...unsaved },
        }),
      ),
  });
}
