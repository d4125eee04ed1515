import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { fieldMessages, nameTakenMessage } from "@/api/problem";
import type { SavedView } from "@/api/types";
import { Button } from "@/components/button";
import { classNames } from "@/components/class-names";
import { ConfirmDialog } from "@/components/dialog";
import { TextField } from "@/components/field";
import { ChevronIcon, PlusIcon } from "@/components/icons";
import { Menu, MenuItem } from "@/components/menu";
import { showError, showSuccess } from "@/components/toast";
import { parsePipelineSearch, type PipelineSearch } from "./filter";
import { useChangeView, viewsQuery } from "./queries";

const CHIP_CLASSES =
  "inline-flex h-7 max-w-52 items-center rounded-full border px-3 text-[0.8125rem] whitespace-nowrap";

/** The saved views of the user, as links. */
export function ViewsBar({ search }: { search: PipelineSearch }) {
  const views = useQuery(viewsQuery).data?.results ?? [];
  const [dialog, setDialog] = useState<SavedView | "new" | null>(null);
  const isEmpty = Object.keys(search).length === 0;
  const isSaved = views.some((view) => isSame(parsePipelineSearch(view.filter), search));
  return (
    <nav aria-label="Saved views" className="flex min-w-0 flex-wrap items-center gap-1.5">
      {/* Always there, so that the list does not move when the views arrive. */}
      <Link to="/pipelines" search={{}} className={chipClasses(isEmpty)} aria-current={isEmpty || undefined}>
        All
      </Link>
      {views.map((view) => (
        <ViewChip key={view.id} view={view} search={search} onRename={() => setDialog(view)} />
      ))}
      {!isEmpty && !isSaved && (
        <Button look="quiet" size="small" onClick={() => setDialog("new")}>
          <PlusIcon />
          Save view
        </Button>
      )}
      {dialog && (
        <NameDialog view={dialog === "new" ? null : dialog} search={search} onClose={() => setDialog(null)} />
      )}
    </nav>
  );
}

function chipClasses(isChosen: boolean): string {
  return classNames(
    CHIP_CLASSES,
    isChosen ? "border-live bg-live-wash text-live" : "border-line-strong text-soft hover:bg-hover",
  );
}

interface ChipProps {
  view: SavedView;
  search: PipelineSearch;
  onRename: () => void;
}

function ViewChip({ view, search, onRename }: ChipProps) {
  const change = useChangeView();
  const saved = parsePipelineSearch(view.filter);
  const isChosen = isSame(saved, search);
  const { name, filter } = view;
  function remove() {
    const undo = (
      <Button
        size="small"
        onClick={() => change.mutate({ create: { name, filter } }, { onError: (error) => showError(error) })}
      >
        Undo
      </Button>
    );
    change.mutate(
      { remove: view.id },
      {
        onSuccess: () => showSuccess(`The view ${name} was deleted.`, undo),
        onError: (error) => showError(error),
      },
    );
  }
  function replace() {
    change.mutate(
      { id: view.id, change: { filter: asTexts(search) } },
      {
        onSuccess: () => showSuccess(`The view ${name} now has these filters.`),
        onError: (error) => showError(error),
      },
    );
  }
  return (
    <span className={classNames(chipClasses(isChosen), "pr-1!")}>
      <Link
        to="/pipelines"
        search={saved}
        className="truncate"
        aria-current={isChosen || undefined}
        title={name}
      >
        <bdi>{name}</bdi>
      </Link>
      <Menu
        label={`View ${name}`}
        trigger={
          <button
            type="button"
            aria-label={`Change the view ${name}`}
            className="ml-1 flex size-5 items-center justify-center rounded-full hover:bg-hover"
          >
            <ChevronIcon width="12" height="12" />
          </button>
        }
      >
        <MenuItem onSelect={onRename}>Rename</MenuItem>
        {!isChosen && Object.keys(search).length > 0 && (
          <MenuItem onSelect={replace}>Save the current filters here</MenuItem>
        )}
        <MenuItem onSelect={remove}>Delete</MenuItem>
      </Menu>
    </span>
  );
}

interface DialogProps {
  view: SavedView | null; // null for a new one
  search: PipelineSearch;
  onClose: () => void;
}

function NameDialog({ view, search, onClose }: DialogProps) {
  const [name, setName] = useState(view?.name ?? "");
  const change = useChangeView();
  const action = view
    ? { id: view.id, change: { name: name.trim() } }
    : { create: { name: name.trim(), filter: asTexts(search) } };
  return (
    <ConfirmDialog
      open
      title={view ? `Rename ${view.name}` : "Save this view"}
      confirmLabel={view ? "Rename" : "Save"}
      disabledReason={name.trim() === "" ? "Enter a name first" : change.isPending ? "Saving" : null}
      onClose={onClose}
      onConfirm={() =>
        change.mutate(action, {
          onSuccess: onClose,
        })
      }
    >
      <TextField
        label="Name"
        value={name}
        onChange={({ target }) => setName(target.value)}
        error={nameTakenMessage(change.error) ?? fieldMessages(change.error).name ?? messageOf(change.error)}
        autoFocus
      />
    </ConfirmDialog>
  );
}

function messageOf(error: Error | null): string | null {
  return error?.message ?? null;
}

/** Returns the search as the API stores it: texts by name. */
function asTexts(search: PipelineSearch): Record<string, string> {
  return Object.fromEntries(Object.entries(search).map(([name, value]) => [name, String(value)]));
}

function isSame(one: PipelineSearch, other: PipelineSearch): boolean {
  const [first, second] = [one, other].map((search) => JSON.stringify(Object.entries(search).sort()));
  return first === second;
}
