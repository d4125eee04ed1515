import type { ToolRequest } from "@/api/types";

/** One sentence about the state of a request, with what happens next. */
export function describeState(request: ToolRequest): string {
  switch (request.state) {
    case "open":
      return "Nothing has changed yet. If you approve it, exactly this is done once.";
    case "approved":
      return "Approved. It is done when the program asks for the result.";
    case "rejected":
      return request.reason ? `Rejected: ${request.reason}` : "Rejected. Nothing was changed.";
    case "begun":
      return "The program's call is in progress.";
    case "done":
      return request.ok ? `Done. ${request.summary}` : `It failed: ${request.summary}`;
    case "expired":
      return "Expired. Nothing was changed. The program can ask again.";
  }
}
