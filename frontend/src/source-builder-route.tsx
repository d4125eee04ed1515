import { useParams } from "@tanstack/react-router";
import { SourceBuilderConversation } from "@/features/agent/source-builder-conversation";
import { SourceBuilderPage } from "@/features/sources/source-builder-page";

/** The source builder combines two features, which must not import each other: custom sources and the agent. */
export function SourceBuilderRoute() {
  const { conversationId = null } = useParams({ from: "/app/sources/builder/{-$conversationId}" });
  return (
    <SourceBuilderPage
      conversationId={conversationId}
      agent={(props) => <SourceBuilderConversation {...props} />}
    />
  );
}
