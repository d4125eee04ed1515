import { Link, useLocation } from "@tanstack/react-router";
import { useEffect, useRef, type KeyboardEvent } from "react";
import {
  closeAgentPanel,
  rememberAgentPage,
  openAgentPanel,
  showInAgentPanel,
  useAgentPanel,
} from "@/agent-panel";
import { Button, buttonClasses } from "@/components/button";
import { AgentIcon, CrossIcon, PlusIcon } from "@/components/icons";
import { ErrorNotice, Skeletons } from "@/components/notice";
import { ConversationView } from "./conversation-view";
import { ownSuggestions } from "./page-suggestions";
import { useSendMessage } from "./queries";

/** The agent beside the open page. It tells the agent which page that is. */
export function AgentPanel() {
  const { conversationId, page: usedPage, message, takesFocus } = useAgentPanel();
  const page = useLocation({ select: ({ pathname }) => pathname });

  function onKeyDown(event: KeyboardEvent) {
    if (event.key === "Escape" && !event.defaultPrevented) closeAgentPanel();
  }

  return (
    <>
      {/* On a narrow window the panel lies over the page, which is inert. */}
      <div
        aria-hidden="true"
        className="fixed inset-0 z-30 bg-black/40 max-sm:hidden xl:hidden"
        onClick={closeAgentPanel}
      />
      <aside
        aria-label="Agent"
        onKeyDown={onKeyDown}
        className="fixed inset-y-0 right-0 z-30 flex w-full flex-col border-l border-line bg-page shadow-float sm:w-[26rem] xl:shadow-none"
      >
        <div className="flex items-center gap-1 border-b border-line px-3 py-2">
          <AgentIcon className="text-faint" />
          <h2 className="mr-auto ml-1.5 font-semibold">Agent</h2>
          <Link to="/agent" className={buttonClasses("quiet", "small")}>
            All conversations
          </Link>
          <Button
            look="quiet"
            size="icon"
            aria-label="New conversation"
            title="New conversation"
            onClick={() => showInAgentPanel(null, page)}
          >
            <PlusIcon />
          </Button>
          <Button
            look="quiet"
            size="icon"
            aria-label="Close the agent"
            title="Close (Esc)"
            onClick={closeAgentPanel}
          >
            <CrossIcon />
          </Button>
        </div>
        {message === null ? (
          <ConversationView
            key={conversationId}
            conversationId={conversationId}
            page={page}
            onStart={(id) => showInAgentPanel(id, page)}
            onSend={() => rememberAgentPage(page)}
            notice={conversationId !== null && usedPage !== page && <OtherPage page={page} />}
            autoFocus={takesFocus}
          />
        ) : (
          <SendFirstMessage key={message} text={message} page={page} />
        )}
      </aside>
    </>
  );
}

/** Shown while the conversation is about a page that the user has left. The user can still continue it. */
function OtherPage({ page }: { page: string }) {
  const suggestions = ownSuggestions(page) ?? [];
  return (
    <section
      aria-label="About this page"
      className="grid gap-2 border-t border-line px-3 py-2 text-[0.8125rem]"
    >
      <p className="text-soft">
        {suggestions.length > 0
          ? "Ask about this page in a new conversation:"
          : "You have opened another page."}
      </p>
      <div className="flex flex-wrap gap-1.5">
        {suggestions.map((suggestion) => (
          <Button key={suggestion} size="small" onClick={() => openAgentPanel(suggestion)}>
            {suggestion}
          </Button>
        ))}
        <Button look="quiet" size="small" onClick={() => showInAgentPanel(null, page)}>
          <PlusIcon className="-ml-0.5" />
          New conversation
        </Button>
      </div>
    </section>
  );
}

/** Sends the message with which a button has opened the panel. */
function SendFirstMessage({ text, page }: { text: string; page: string }) {
  const { mutate, error } = useSendMessage((id) => showInAgentPanel(id, page));
  const isSent = useRef(false);
  useEffect(() => {
    if (isSent.current) return; // React mounts twice in development
    isSent.current = true;
    mutate({ conversationId: null, text, page });
  }, [mutate, text, page]);
  if (!error) return <Skeletons rows={3} />;
  return (
    <div className="p-4">
      <ErrorNotice error={error} retry={() => mutate({ conversationId: null, text, page })} />
    </div>
  );
}
