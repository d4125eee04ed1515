import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import type { Versioned } from "@/api/client";
import { dataIfFound } from "@/api/problem";
import type { CustomSource } from "@/api/types";
import { Button, buttonClasses } from "@/components/button";
import { CodeEditor } from "@/components/code-editor";
import { DestroyDialog } from "@/components/destroy-dialog";
import { TextField } from "@/components/field";
import { PageHeader } from "@/components/page";
import { SaveError } from "@/components/save-error";
import { showError, showSuccess } from "@/components/toast";
import { useCanCreatePipelines, useHasPermission } from "@/session/use-session";
import { ItemPlaceholder } from "@/components/error-pages";
import { ItemId } from "@/components/item-id";
import { Builder } from "./builder";
import { sourceQuery, useChangeSource, useDeleteSource } from "./queries";
import { useOpenedVersion } from "./opened-version";
import { VersionsPanel } from "./versions-panel";

const NO_MESSAGES: never[] = [];
const ignoreChange = () => undefined;

export function SourcePage() {
  const { sourceId } = useParams({ from: "/app/sources/$sourceId" });
  const { data, error, refetch } = useQuery(sourceQuery(sourceId));
  const source = dataIfFound(data, error);
  return (
    <div className="mx-auto max-w-[100rem] px-4 py-5 md:px-6">
      {!source && (
        <ItemPlaceholder
          item="source"
          error={error}
          retry={() => void refetch()}
          wasShown={data !== undefined}
        />
      )}
      {source && <SourceEditor key={source.id} source={source} />}
    </div>
  );
}

function SourceEditor({ source }: { source: Versioned<CustomSource> }) {
  const isEditor = useHasPermission()("custom_sources.edit");
  const canCreatePipelines = useCanCreatePipelines();
  const canEdit = isEditor && source.repository_id === null; // the next sync would replace an edit here
  const change = useChangeSource(source.id);
  const { code, setCode, isChanged, newerVersion, openVersion } = useOpenedVersion(source);
  const [note, setNote] = useState("");

  function save(approve: boolean) {
    if (change.isPending) return;
    change.mutate(
      { change: { code, note, approve }, etag: source.etag },
      {
        onSuccess: (saved) => {
          openVersion(saved);
          setNote("");
          showSuccess(savedMessage(saved));
        },
      },
    );
  }

  return (
    <>
      <PageHeader title={source.name}>
        {canCreatePipelines && source.approved_version !== null && !source.archived && (
          <Link to="/pipelines/new" className={buttonClasses()}>
            Use in a pipeline
          </Link>
        )}
        {isEditor && <ArchiveAndDelete source={source} />}
      </PageHeader>
      <Builder
        code={code}
        onChange={setCode}
        onSave={() => isChanged && save(false)}
        canEdit={canEdit}
        canRun={isEditor}
        tabs={[{ title: "Versions", content: <VersionsPanel source={source} canEdit={isEditor} /> }]}
      >
        {(report) => (
          <section aria-label="Save" className="card grid gap-3 p-4">
            <p className="text-soft">{versionStatus(source)}</p>
            <ItemId id={source.id} path={`/sources/${source.id}`} />
            {newerVersion !== null && (
              <div role="status" className="grid gap-2">
                <p>
                  Version {newerVersion} was saved meanwhile. Your code stays in the editor: compare it with
                  the newer version below. If you save, yours becomes the newest version, and version{" "}
                  {newerVersion} is kept under Versions.
                </p>
                <CodeEditor
                  label={`Code of version ${newerVersion}`}
                  value={source.version.code}
                  onChange={ignoreChange}
                  messages={NO_MESSAGES}
                  readOnly
                  minHeight="6rem"
                  maxHeight="20rem"
                />
                <div>
                  <Button onClick={() => openVersion(source)}>
                    Discard my changes and show version {newerVersion}
                  </Button>
                </div>
              </div>
            )}
            {source.repository_id !== null && (
              <p className="text-soft">
                The code comes from {source.repository_path} in a{" "}
                <Link to="/sources/repositories" className="underline">
                  Git repository
                </Link>
                . Edit it there.
              </p>
            )}
            {canEdit && isChanged && (
              <>
                <TextField
                  label="Change note"
                  optional
                  value={note}
                  maxLength={200}
                  onChange={({ target }) => setNote(target.value)}
                />
                <div className="flex flex-wrap gap-2">
                  <Button
                    look="primary"
                    disabledReason={report?.valid ? null : "Fix the errors first."}
                    onClick={() => save(true)}
                  >
                    Save and approve
                  </Button>
                  <Button
                    disabledReason={report?.valid ? null : "Fix the errors first."}
                    onClick={() => save(false)}
                  >
                    Save draft
                  </Button>
                </div>
              </>
            )}
            {change.error && <SaveError error={change.error} hasConflict={newerVersion !== null} />}
          </section>
        )}
      </Builder>
    </>
  );
}

function savedMessage({ latest_version, approved_version }: CustomSource): string {
  if (approved_version === latest_version)
    return `Saved and approved. Pipelines now run version ${latest_version}.`;
  const others =
    approved_version === null
      ? "No version is approved yet."
      : `Pipelines still run version ${approved_version}.`;
  return `Saved as version ${latest_version}. ${others}`;
}

function versionStatus({ latest_version, approved_version, archived }: CustomSource): string {
  if (archived)
    return "This source is archived. New pipelines cannot use it. Existing pipelines keep running.";
  if (approved_version === null) return "No version is approved yet, so pipelines cannot run this source.";
  if (approved_version === latest_version) return `Pipelines run this version (version ${latest_version}).`;
  return `This is version ${latest_version}. Pipelines run version ${approved_version}.`;
}

function ArchiveAndDelete({ source }: { source: Versioned<CustomSource> }) {
  const navigate = useNavigate();
  const change = useChangeSource(source.id);
  const remove = useDeleteSource(source, () => navigate({ to: "/sources" }));
  const [isConfirming, setIsConfirming] = useState(false);
  return (
    <>
      <Button
        onClick={() =>
          change.mutate(
            { change: { archived: !source.archived }, etag: source.etag },
            { onError: (error) => showError(error) },
          )
        }
      >
        {source.archived ? "Unarchive" : "Archive"}
      </Button>
      <Button look="danger" onClick={() => setIsConfirming(true)}>
        Delete
      </Button>
      <DestroyDialog
        target={isConfirming ? source : null}
        nameOf={({ name }) => name}
        verb="Delete"
        destruction={{ ...remove, mutate: (_source, options) => remove.mutate(undefined, options) }}
        onClose={() => setIsConfirming(false)}
      >
        All its versions are deleted too. You cannot delete it while a connector or a pipeline uses it.
      </DestroyDialog>
    </>
  );
}
