import { isLive, openRequests, type Turn } from "./transcript";

/**
 * The text that a screen reader reads once per answer. It is empty while the agent is writing, so that the tokens are
 * not read one by one.
 */
export function announcementOf(turn: Turn | undefined): string {
  if (!turn) return "";
  const [request] = openRequests(turn);
  if (request) {
    const kind = request.type === "question" ? "The agent asks" : "The agent needs your approval";
    return `${kind}: ${request.card.title || request.title}`;
  }
  if (isLive(turn)) return "";
  const last = turn.items.findLast(({ type }) => type === "message" || type === "error");
  if (last?.type === "error") return `The agent could not finish: ${last.message} ${last.next_step}`;
  if (turn.status === "stopped") return "The agent was stopped.";
  return last?.type === "message" ? `The agent answered: ${spoken(last.text)}` : "The agent is done.";
}

/** The text without the signs and addresses of its Markdown. */
function spoken(markdown: string): string {
  return markdown
    .replace(/ ?\(\[open\]\([^()\s]{1,500}\)\)/g, "")
    .replace(/\[([^[\]]{1,500})\]\([^()\s]{1,500}\)/g, "$1")
    .replaceAll("**", "");
}
