import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import type { CustomSource } from "@/api/types";
import { Button, buttonLook } from "@/components/button";
import { ConfirmDialog } from "@/components/dialog";
import { TextField } from "@/components/field";
import { ErrorNotice, Skeletons } from "@/components/notice";
import { PageHeader } from "@/components/page";
import { showError, showSuccess } from "@/components/toast";
import { useMay } from "@/session/use-session";
import { PageProblem } from "@/components/error-pages";
import { Builder } from "./builder";
import { sourceQuery, useChangeSource, useDeleteSource } from "./queries";
import { VersionsPanel } from "./versions-panel";

export function SourcePage() {
  const { sourceId } = useParams({ from: "/app/sources/$sourceId" });
  const { data, error, refetch } = useQuery(sourceQuery(sourceId));
  return (
    <div className="mx-auto max-w-[100rem] px-4 py-5 md:px-6">
      {error && !data && <PageProblem error={error} retry={() => void refetch()} />}
      {!data && !error && <Skeletons />}
      {data && <Editing key={`${data.id} ${data.latest_version}`} source={data} />}
    </div>
  );
}

function Editing({ source }: { source: CustomSource }) {
  const may = useMay()("custom_sources.edit");
  const canEdit = may && source.repository_id === null; // otherwise the next sync would undo the edit
  const change = useChangeSource(source.id);
  const [code, setCode] = useState(source.version.code);
  const [note, setNote] = useState("");
  const changed = code !== source.version.code;

  function save(approve: boolean) {
    if (change.isPending) return;
    change.mutate(
      { code, note, approve },
      {
        onSuccess: ({ latest_version, approved_version }) =>
          showSuccess(
            approved_version === latest_version
              ? `Saved and approved. Pipelines now run version ${latest_version}.`
              : `Saved as version ${latest_version}. ${approved_version === null ? "No version is approved yet." : `Pipelines still run version ${approved_version}.`}`,
          ),
      },
    );
  }

  return (
    <>
      <PageHeader title={source.name}>
        {source.approved_version !== null && !source.archived && (
          <Link to="/pipelines/new" className={buttonLook()}>
            Use in a pipeline
          </Link>
        )}
        {may && <More source={source} />}
      </PageHeader>
      <Builder
        code={code}
        onChange={setCode}
        onSave={() => changed && save(false)}
        canEdit={canEdit}
        tries={may}
        tabs={[{ title: "Versions", content: <VersionsPanel source={source} canEdit={may} /> }]}
      >
        {(report) => (
          <section aria-label="Save" className="card grid gap-3 p-4">
            <p className="text-soft">{inWords(source)}</p>
            {source.repository_id !== null && (
              <p className="text-soft">
                The code comes from {source.repository_path} in a{" "}
                <Link to="/sources/repositories" className="underline">
                  Git repository
                </Link>
                . Edit it there.
              </p>
            )}
            {canEdit && changed && (
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
                    blocked={report?.valid ? null : "Fix the errors first."}
                    onClick={() => save(true)}
                  >
                    Save and approve
                  </Button>
                  <Button
                    blocked={report?.valid ? null : "Fix the errors first."}
                    onClick={() => save(false)}
                  >
                    Save draft
                  </Button>
                </div>
              </>
            )}
            {change.error && <ErrorNotice error={change.error} />}
          </section>
        )}
      </Builder>
    </>
  );
}

function inWords({ latest_version, approved_version, archived }: CustomSource): string {
  if (archived) return "Archived. New pipelines cannot use it; existing pipelines keep running.";
  if (approved_version === null) return "No version is approved yet, so pipelines cannot run it.";
  if (approved_version === latest_version) return `Pipelines run this version (version ${latest_version}).`;
  return `This is version ${latest_version}. Pipelines run version ${approved_version}.`;
}

function More({ source }: { source: CustomSource }) {
  const navigate = useNavigate();
  const change = useChangeSource(source.id);
  const remove = useDeleteSource(source.id);
  const [asking, setAsking] = useState(false);
  return (
    <>
      <Button
        onClick={() =>
          change.mutate({ archived: !source.archived }, { onError: (error) => showError(error) })
        }
      >
        {source.archived ? "Unarchive" : "Archive"}
      </Button>
      <Button look="danger" onClick={() => setAsking(true)}>
        Delete
      </Button>
      <ConfirmDialog
        open={asking}
        title={`Delete ${source.name}?`}
        confirm="Delete"
        danger
        onClose={() => setAsking(false)}
        onConfirm={() => {
          setAsking(false);
          remove.mutate(undefined, {
            onSuccess: () => void navigate({ to: "/sources" }),
            onError: (error) => showError(error),
          });
        }}
      >
        All its versions are deleted too. You cannot delete it while a connector or a pipeline uses it.
      </ConfirmDialog>
    </>
  );
}
