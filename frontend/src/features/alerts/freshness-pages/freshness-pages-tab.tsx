import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { FreshnessPage } from "@/api/types";
import { Button } from "@/components/button";
import { CopyButton } from "@/components/copy-button";
import { DestroyDialog } from "@/components/destroy-dialog";
import { ConfirmDialog } from "@/components/dialog";
import { EnabledSwitch } from "@/components/enabled-switch";
import { Name } from "@/components/name";
import { EmptyState } from "@/components/notice";
import { QueryContent, Section } from "@/components/section";
import { showError, showSuccess } from "@/components/toast";
import { useFocusReturn } from "@/components/use-focus-return";
import { countWithNoun } from "@/format/number";
import { useReadOnlyReason } from "@/session/use-session";
import { badgeMarkdown } from "./badge-markdown";
import { EditPage, NewPage } from "./page-form";
import { Preview } from "./preview";
import { freshnessPagesQuery, useChangePage, useDeletePage, useRenewLink } from "./queries";

/** The public pages that show how fresh the data is. */
export function FreshnessPagesTab() {
  const pages = useQuery(freshnessPagesQuery);
  const [isCreating, setCreating] = useState(false);
  const createButton = useFocusReturn(isCreating);
  const [asked, setAsked] = useState<{ action: "renew" | "delete"; page: FreshnessPage } | null>(null);
  const renew = useRenewLink();
  const remove = useDeletePage();
  const canEdit = useReadOnlyReason() === null;
  return (
    <Section
      title="Freshness pages"
      description="A freshness page tells the people who use your data whether it is up to date. Whoever has its link can read it, without an account."
      action={
        canEdit &&
        !isCreating && (
          <Button ref={createButton} look="primary" onClick={() => setCreating(true)}>
            Create a page
          </Button>
        )
      }
    >
      {isCreating && <NewPage onClose={() => setCreating(false)} />}
      <QueryContent query={pages}>
        {({ results }) =>
          results.length === 0 ? (
            !isCreating && (
              <EmptyState title="No freshness pages yet">
                Create a page, add the pipelines that your readers wait for, and give each of them a name that
                they know. Nobody can read the page until you enable it. Readers see when the data was
                updated, and whether it is late or failing. They never see messages of failures.
              </EmptyState>
            )
          ) : (
            <ul>
              {results.map((page) => (
                <li key={page.id} className="border-t border-line py-3 first:border-t-0">
                  <PageRow page={page} canEdit={canEdit} onAsk={(action) => setAsked({ action, page })} />
                </li>
              ))}
            </ul>
          )
        }
      </QueryContent>
      <ConfirmDialog
        open={asked?.action === "renew"}
        title={`Renew the link of ${asked?.page.title}?`}
        confirmLabel="Renew"
        onClose={() => setAsked(null)}
        onConfirm={() => {
          renew.mutate(asked!.page.id, {
            onSuccess: () => showSuccess("The page has a new link. Give it to your readers."),
            onError: (error) => showError(error),
          });
          setAsked(null);
        }}
      >
        The old link and the badges with it stop working at once.
      </ConfirmDialog>
      <DestroyDialog
        target={asked?.action === "delete" ? asked.page : null}
        nameOf={({ title }) => title}
        verb="Delete"
        destruction={remove}
        onClose={() => setAsked(null)}
      >
        Its link and its badges stop working at once. To hide the page for a while, disable it instead.
      </DestroyDialog>
    </Section>
  );
}

interface RowProps {
  page: FreshnessPage;
  canEdit: boolean;
  onAsk: (action: "renew" | "delete") => void;
}

function PageRow({ page, canEdit, onAsk }: RowProps) {
  const { id, title, enabled, pipelines } = page;
  const [opened, setOpened] = useState<"edit" | "preview" | null>(null);
  const change = useChangePage(id);
  const editButton = useFocusReturn(opened === "edit");
  const toggle = (part: "edit" | "preview") => setOpened(opened === part ? null : part);
  function askToDelete() {
    setOpened(null); // what is open would be fetched again after the deletion
    onAsk("delete");
  }
  return (
    <>
      <div className="flex flex-wrap items-start gap-x-4 gap-y-2">
        <div className="min-w-0 flex-1 basis-64">
          <p>
            <Name className="font-medium">{title}</Name>{" "}
            <span className="text-faint">{countWithNoun(pipelines.length, "pipeline")}</span>
          </p>
          {enabled ? (
            <PublicAddresses page={page} />
          ) : (
            <p className="text-[0.8125rem] text-soft">Nobody can read it. Enable it to publish it.</p>
          )}
        </div>
        <div className="flex flex-wrap items-center gap-2">
          {canEdit && (
            <EnabledSwitch
              of={title}
              isEnabled={enabled}
              onChange={(next) =>
                change.mutate({ change: { enabled: next } }, { onError: (error) => showError(error) })
              }
            />
          )}
          <Button size="small" aria-expanded={opened === "preview"} onClick={() => toggle("preview")}>
            Preview<span className="sr-only"> {title}</span>
          </Button>
          {canEdit && (
            <>
              <Button
                ref={editButton}
                size="small"
                aria-expanded={opened === "edit"}
                onClick={() => toggle("edit")}
              >
                Edit<span className="sr-only"> {title}</span>
              </Button>
              <Button size="small" onClick={() => onAsk("renew")}>
                Renew link<span className="sr-only"> of {title}</span>
              </Button>
              <Button size="small" look="danger" onClick={askToDelete}>
                Delete<span className="sr-only"> {title}</span>
              </Button>
            </>
          )}
        </div>
      </div>
      {opened === "preview" && <Preview page={page} />}
      {opened === "edit" && <EditPage id={id} onClose={() => setOpened(null)} />}
    </>
  );
}

/** The link and the badge. The badge is fetched from this host, as the content security policy requires. */
function PublicAddresses({ page: { title, url, badge_url } }: { page: FreshnessPage }) {
  return (
    <div className="mt-1 grid gap-1">
      <p className="flex flex-wrap items-center gap-x-2">
        <a
          className="link font-mono text-[0.8125rem] wrap-anywhere"
          href={url}
          target="_blank"
          rel="noreferrer"
        >
          {url}
        </a>
        <CopyButton text={url} label="Copy link" />
      </p>
      <p className="flex flex-wrap items-center gap-x-2">
        <img src={new URL(badge_url).pathname} alt={`Badge of ${title}`} className="h-5" />
        <CopyButton text={badgeMarkdown(title, badge_url, url)} label="Copy badge as Markdown" />
      </p>
    </div>
  );
}
