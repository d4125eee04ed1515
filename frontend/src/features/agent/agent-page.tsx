import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useId, useRef, useState } from "react";
import type { ConversationRow } from "@/api/types";
import { Button, buttonClasses } from "@/components/button";
import { classNames } from "@/components/class-names";
import { DestroyDialog } from "@/components/destroy-dialog";
import { TextField } from "@/components/field";
import { FilterBar, NoMatch } from "@/components/filter-bar";
import { ChevronIcon, PlusIcon } from "@/components/icons";
import { CopyId } from "@/components/item-id";
import { ErrorNotice, Skeletons } from "@/components/notice";
import { PageTitle, usePageTitle } from "@/components/page";
import { RelativeTime } from "@/components/relative-time";
import { showError } from "@/components/toast";
import { Name } from "@/components/name";
import { parseTextFilter } from "@/format/parameter";
import { useHasPermission } from "@/session/use-session";
import { ConversationView } from "./conversation-view";
import { conversationsQuery, useDeleteConversation, useRenameConversation } from "./queries";

/** All conversations of the user, beside a new one. */
export function AgentPage() {
  return <AgentLayout openId={null} />;
}

export function AgentConversationPage() {
  const { conversationId } = useParams({ from: "/app/agent/$conversationId" });
  return <AgentLayout openId={conversationId} />;
}

function useConversationTitle(openId: string | null): string {
  const { data } = useInfiniteQuery(conversationsQuery());
  const row = data?.pages.flatMap(({ results }) => results).find(({ id }) => id === openId);
  return row?.title ? `${row.title} · Agent` : "Agent";
}

/** In a narrow window there is no room for both: the user opens the list, which then replaces the conversation. */
function AgentLayout({ openId }: { openId: string | null }) {
  usePageTitle(useConversationTitle(openId));
  const canApprove = useHasPermission()("api_keys.own");
  const [isListOpen, setIsListOpen] = useState(false);
  const listButton = useRef<HTMLButtonElement>(null);
  const listId = useId();

  function closeList() {
    setIsListOpen(false);
    listButton.current?.focus();
  }

  return (
    <div
      className={classNames(
        "grid min-h-0 flex-1 md:grid-cols-[17rem_1fr] md:grid-rows-1",
        isListOpen ? "grid-rows-1" : "grid-rows-[auto_1fr]",
      )}
    >
      <aside
        aria-label="Conversations"
        className="flex min-h-0 min-w-0 flex-col border-line max-md:border-b md:border-r"
      >
        <div className="flex items-center justify-between gap-2 px-4 py-3 max-md:py-2">
          <PageTitle>Agent</PageTitle>
          <Button
            ref={listButton}
            size="small"
            className="ml-auto md:hidden"
            aria-expanded={isListOpen}
            aria-controls={listId}
            onClick={() => setIsListOpen(!isListOpen)}
          >
            Conversations
            <ChevronIcon className={classNames("-mr-0.5 text-faint", isListOpen && "rotate-180")} />
          </Button>
          <Link to="/agent" className={buttonClasses("plain", "small")} onClick={closeList}>
            <PlusIcon className="-ml-0.5" />
            <span className="max-md:sr-only">New conversation</span>
            <span aria-hidden="true" className="md:hidden">
              New
            </span>
          </Link>
        </div>
        <div
          id={listId}
          className={classNames("flex min-h-0 flex-1 flex-col", !isListOpen && "max-md:hidden")}
        >
          <ConversationList openId={openId} onChoose={closeList} />
          {canApprove && (
            <Link
              to="/approvals"
              className="mt-auto border-t border-line px-4 py-2.5 text-[0.8125rem] text-soft hover:bg-hover"
            >
              Requests of programs (MCP)
            </Link>
          )}
        </div>
      </aside>
      <div
        className={classNames(
          "mx-auto flex min-h-0 w-full max-w-[56rem] min-w-0 flex-col",
          isListOpen && "max-md:hidden",
        )}
      >
        <PageConversation key={openId} openId={openId} />
      </div>
    </div>
  );
}

function PageConversation({ openId }: { openId: string | null }) {
  const navigate = useNavigate();
  const [hasCode, setHasCode] = useState(false);
  return (
    <ConversationView
      conversationId={openId}
      page=""
      onStart={(conversationId) =>
        void navigate({ to: "/agent/$conversationId", params: { conversationId } })
      }
      onCode={() => setHasCode(true)}
      notice={hasCode && openId !== null && <SourceBuilderLink conversationId={openId} />}
      autoFocus
    />
  );
}

function SourceBuilderLink({ conversationId }: { conversationId: string }) {
  const canEdit = useHasPermission()("custom_sources.edit");
  if (!canEdit) return null;
  return (
    <div className="flex flex-wrap items-center gap-3 border-t border-line px-3 py-2 text-[0.8125rem] text-soft">
      <p className="mr-auto">The agent has written the code of a source.</p>
      <Link
        to="/sources/builder/{-$conversationId}"
        params={{ conversationId }}
        className={buttonClasses("plain", "small")}
      >
        Open the editor and the preview
      </Link>
    </div>
  );
}

interface ListProps {
  openId: string | null;
  /** Called when the user chooses a conversation, also the open one. */
  onChoose: () => void;
}

function ConversationList({ openId, onChoose }: ListProps) {
  const filter = parseTextFilter({ ...useSearch({ strict: false }) });
  const navigate = useNavigate();
  const query = useInfiniteQuery(conversationsQuery(filter));
  const { data, error, refetch, hasNextPage, fetchNextPage } = query;
  if (error && !data) {
    return (
      <div className="p-3">
        <ErrorNotice error={error} retry={() => void refetch()} />
      </div>
    );
  }
  if (!data) return <Skeletons rows={4} />;
  const rows = data.pages.flatMap(({ results }) => results);
  if (rows.length === 0 && !filter.q) {
    return <p className="px-4 pb-4 text-soft">Your conversations will be listed here.</p>;
  }
  return (
    <nav aria-label="Conversations" className="min-h-0 overflow-y-auto px-2 pb-3">
      <FilterBar
        items="conversations"
        filter={filter}
        onSearch={(q, replace) => void navigate({ to: ".", search: { q }, replace })}
        onClear={() => void navigate({ to: ".", search: {} })}
      />
      {rows.length === 0 && (
        <NoMatch items="conversations" onClear={() => void navigate({ to: ".", search: {} })} />
      )}
      <ul className="grid grid-cols-1 gap-0.5">
        {rows.map((row) => (
          <li key={row.id} className="min-w-0">
            <ConversationEntry row={row} isOpen={row.id === openId} onChoose={onChoose} />
          </li>
        ))}
      </ul>
      {hasNextPage && (
        <Button look="quiet" size="small" className="mt-2" onClick={() => void fetchNextPage()}>
          Show more
        </Button>
      )}
    </nav>
  );
}

interface EntryProps {
  row: ConversationRow;
  isOpen: boolean;
  onChoose: () => void;
}

function ConversationEntry({ row, isOpen, onChoose }: EntryProps) {
  const [isRenaming, setIsRenaming] = useState(false);
  const [wasRenaming, setWasRenaming] = useState(false); // then the button gets the focus back
  const title = row.title || "New conversation";

  function closeForm() {
    setIsRenaming(false);
    setWasRenaming(true);
  }

  if (isRenaming) return <RenameForm row={row} onDone={closeForm} />;
  return (
    <div className={classNames("rounded-control", isOpen ? "bg-picked" : "hover:bg-hover")}>
      <Link
        to="/agent/$conversationId"
        params={{ conversationId: row.id }}
        search={parseTextFilter}
        className="block min-w-0 rounded-control px-2.5 pt-1.5 pb-1"
        onClick={onChoose}
      >
        <Name cut className={isOpen ? "font-medium" : undefined}>
          {title}
        </Name>
        <span className="text-xs text-soft">
          <RelativeTime time={row.updated_at} />
        </span>
      </Link>
      {isOpen && (
        <div className="flex flex-wrap gap-x-1 px-1 pb-1">
          <Button
            look="quiet"
            size="small"
            autoFocus={wasRenaming}
            onBlur={() => setWasRenaming(false)}
            onClick={() => setIsRenaming(true)}
          >
            Rename
          </Button>
          <DeleteButton row={row} title={title} />
          <CopyId id={row.id} path={`/agent/${row.id}`} />
        </div>
      )}
    </div>
  );
}

function RenameForm({ row, onDone }: { row: ConversationRow; onDone: () => void }) {
  const [title, setTitle] = useState(row.title);
  const rename = useRenameConversation();
  return (
    <form
      className="grid gap-2 rounded-control bg-picked p-2"
      onKeyDown={(event) => event.key === "Escape" && onDone()}
      onSubmit={(event) => {
        event.preventDefault();
        if (rename.isPending) return;
        rename.mutate(
          { id: row.id, title: title.trim() },
          { onSuccess: onDone, onError: (error) => showError(error) },
        );
      }}
    >
      <TextField
        label="Name"
        autoFocus
        required
        maxLength={200}
        value={title}
        onChange={({ target }) => setTitle(target.value)}
      />
      <div className="flex gap-1">
        <Button type="submit" look="primary" size="small">
          Save
        </Button>
        <Button size="small" onClick={onDone}>
          Back
        </Button>
      </div>
    </form>
  );
}

function DeleteButton({ row, title }: { row: ConversationRow; title: string }) {
  const [isConfirming, setIsConfirming] = useState(false);
  const navigate = useNavigate();
  const remove = useDeleteConversation(() => navigate({ to: "/agent" }));
  return (
    <>
      <Button look="quiet" size="small" onClick={() => setIsConfirming(true)}>
        Delete
      </Button>
      <DestroyDialog
        target={isConfirming ? row.id : null}
        nameOf={() => "delete"} // the title may be a whole message
        title="Delete this conversation?"
        verb="Delete"
        destruction={remove}
        onClose={() => setIsConfirming(false)}
      >
        “{title}” is deleted with everything that was said in it. What the agent has changed stays as it is.
      </DestroyDialog>
    </>
  );
}
