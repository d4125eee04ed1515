import { useState } from "react";
import type { BulkAction, BulkResult, PipelineRow } from "@/api/types";
import { Button } from "@/components/button";
import { ConfirmDialog } from "@/components/dialog";
import { TextField } from "@/components/field";
import { CrossIcon } from "@/components/icons";
import { showError, showSuccess } from "@/components/toast";
import { countWithNoun } from "@/format/number";
import { useHasPermission } from "@/session/use-session";
import { useBulk } from "./queries";

const ACTIONS: {
  action: BulkAction;
  label: string;
  done: string;
  permission: "pipelines.run" | "pipelines.edit";
}[] = [
  { action: "run", label: "Run", done: "started", permission: "pipelines.run" },
  { action: "retry", label: "Retry failed", done: "retried", permission: "pipelines.run" },
  { action: "enable", label: "Enable", done: "enabled", permission: "pipelines.edit" },
  { action: "disable", label: "Disable", done: "disabled", permission: "pipelines.edit" },
  { action: "tag", label: "Add tags", done: "tagged", permission: "pipelines.edit" },
  { action: "untag", label: "Remove tags", done: "changed", permission: "pipelines.edit" },
];

export interface BulkFailures {
  /** What was done and what was not, in words. */
  title: string;
  failures: { id: string; name: string; reason: string }[];
}

interface Props {
  rows: PipelineRow[]; // the selected ones
  onClear: () => void;
  onFailures: (failures: BulkFailures | null) => void;
}

/** What can be done with the selected pipelines, at the bottom of the window. */
export function BulkBar({ rows, onClear, onFailures }: Props) {
  const bulk = useBulk();
  const hasPermission = useHasPermission();
  const [asksForTags, setAsksForTags] = useState<"tag" | "untag" | null>(null);
  const names = new Map(rows.map(({ id, name }) => [id, name]));

  function act(action: BulkAction, tags?: string[]) {
    const { done } = ACTIONS.find((known) => known.action === action)!;
    onFailures(null);
    bulk.mutate(
      { ids: rows.map(({ id }) => id), action, ...(tags ? { tags } : {}) },
      {
        onSuccess: (results) => {
          const failures = failuresOf(results, names);
          const succeeded = results.length - failures.length;
          const title = `${countWithNoun(succeeded, "pipeline")} ${done}.`;
          if (failures.length === 0) showSuccess(title);
          else {
            const failed = `${countWithNoun(failures.length, "pipeline")} could not be ${done}:`;
            onFailures({ title: `${title} ${failed}`, failures });
          }
        },
        onError: (error) => showError(error),
      },
    );
  }
  const allowed = ACTIONS.filter(({ permission }) =>
    rows.some((row) => hasPermission(permission, row.domain?.id)),
  );
  return (
    <div
      data-save-bar
      role="region"
      aria-label="Selected pipelines"
      className="fixed inset-x-0 bottom-0 z-20 flex justify-center p-3 lg:left-60"
    >
      <div className="flex max-w-full flex-wrap items-center gap-1.5 rounded-card border border-line bg-raised px-3 py-2 shadow-float">
        <span role="status" className="mr-1 font-medium tabular-nums">
          {bulk.isPending ? "Working…" : `${rows.length} selected`}
        </span>
        {allowed.map(({ action, label }) => (
          <Button
            key={action}
            size="small"
            disabledReason={bulk.isPending ? "Working" : null}
            onClick={() => (action === "tag" || action === "untag" ? setAsksForTags(action) : act(action))}
          >
            {label}
          </Button>
        ))}
        <Button look="quiet" size="small" aria-label="Clear the selection" onClick={onClear}>
          <CrossIcon />
        </Button>
      </div>
      {asksForTags && (
        <TagsDialog
          action={asksForTags}
          rows={rows}
          onClose={() => setAsksForTags(null)}
          onConfirm={(tags) => {
            act(asksForTags, tags);
            setAsksForTags(null);
          }}
        />
      )}
    </div>
  );
}

function failuresOf(results: BulkResult[], names: ReadonlyMap<string, string>): BulkFailures["failures"] {
  return results.flatMap(({ id, problem }) =>
    problem ? [{ id, name: names.get(id) ?? id, reason: problem.detail }] : [],
  );
}

interface TagsProps {
  action: "tag" | "untag";
  rows: PipelineRow[];
  onClose: () => void;
  onConfirm: (tags: string[]) => void;
}

function TagsDialog({ action, rows, onClose, onConfirm }: TagsProps) {
  const [text, setText] = useState("");
  const tags = text
    .split(",")
    .map((tag) => tag.trim())
    .filter(Boolean);
  const present = [...new Set(rows.flatMap((row) => row.tags))].sort();
  const verb = action === "tag" ? "Add tags" : "Remove tags";
  return (
    <ConfirmDialog
      open
      title={`${verb}: ${countWithNoun(rows.length, "pipeline")}`}
      confirmLabel={verb}
      disabledReason={tags.length === 0 ? "Enter a tag first" : null}
      onClose={onClose}
      onConfirm={() => onConfirm(tags)}
    >
      <TextField
        label="Tags, separated by commas"
        value={text}
        onChange={({ target }) => setText(target.value)}
        autoFocus
      />
      {action === "untag" && present.length > 0 && (
        <p className="mt-2 text-[0.8125rem] text-soft">Tags of these pipelines: {present.join(", ")}</p>
      )}
    </ConfirmDialog>
  );
}
