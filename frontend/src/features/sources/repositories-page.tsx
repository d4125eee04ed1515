import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState, type ChangeEvent, type FormEvent } from "react";
import type { Versioned } from "@/api/client";
import { dataIfFound, fieldMessages } from "@/api/problem";
import type { Repository } from "@/api/types";
import { Button } from "@/components/button";
import { DestroyDialog } from "@/components/destroy-dialog";
import { TextField } from "@/components/field";
import { EmptyState, ErrorNotice, Skeletons } from "@/components/notice";
import { FilterBar, NoMatch } from "@/components/filter-bar";
import { PageHeader } from "@/components/page";
import { OneTimeSecret } from "@/components/one-time-secret";
import { SecretField, typedSecret } from "@/components/secret-field";
import { showError, showSuccess } from "@/components/toast";
import { RelativeTime } from "@/components/relative-time";
import { useFocusReturn } from "@/components/use-focus-return";
import { VersionedForm, type FormFields } from "@/components/versioned-form";
import type { Values } from "@/format/merge";
import { isFound, parseTextFilter } from "@/format/parameter";
import { useHasPermission } from "@/session/use-session";
import { LoadErrorPage } from "@/components/error-pages";
import { OutcomeList } from "./outcome-list";
import {
  isSyncing,
  repositoriesQuery,
  repositoryQuery,
  useChangeRepository,
  useConnectRepository,
  useDisconnectRepository,
  useRenewWebhookSecret,
  useSyncRepository,
  type RepositorySettings,
} from "./repository-queries";

type Webhook = { url: string; secret: string };

export function RepositoriesPage() {
  const canEdit = useHasPermission()("custom_sources.edit");
  const { data, error, refetch } = useQuery(repositoriesQuery);
  const filter = useSearch({ from: "/app/sources/repositories", select: parseTextFilter });
  const navigate = useNavigate({ from: "/sources/repositories" });
  const shown = data?.results.filter(({ url, branch, path }) => isFound(filter.q, url, branch, path));
  const [isConnecting, setIsConnecting] = useState(false);
  const connectButton = useFocusReturn(isConnecting);
  const [webhook, setWebhook] = useState<Webhook | null>(null);
  return (
    <div className="mx-auto max-w-[60rem] px-4 py-5 md:px-6">
      <nav aria-label="Breadcrumb" className="text-[0.8125rem] text-faint">
        <Link to="/sources" className="hover:underline">
          Custom sources
        </Link>
      </nav>
      <PageHeader title="Git repositories" count={data?.results.length}>
        {canEdit && !isConnecting && (
          <Button ref={connectButton} look="primary" onClick={() => setIsConnecting(true)}>
            Connect a repository
          </Button>
        )}
      </PageHeader>
      {webhook && <WebhookNotice webhook={webhook} onClose={() => setWebhook(null)} />}
      {isConnecting && (
        <ConnectForm
          onClose={() => setIsConnecting(false)}
          onConnected={(newWebhook) => {
            setIsConnecting(false);
            setWebhook(newWebhook);
          }}
        />
      )}
      <FilterBar
        items="repositories"
        filter={filter}
        onSearch={(q, replace) => void navigate({ search: { q }, replace })}
        onClear={() => void navigate({ search: {} })}
      />
      {error && !data && <LoadErrorPage error={error} retry={() => void refetch()} />}
      {!data && !error && <Skeletons />}
      {data?.results.length === 0 && !isConnecting && (
        <EmptyState title="No repositories connected">
          Keep custom sources in Git with the rest of your code. Each Python file in a folder becomes a custom
          source, and each push creates a new version with its commit and author. Pipelines run a version only
          after someone approves it.
        </EmptyState>
      )}
      {data && data.results.length > 0 && shown?.length === 0 && (
        <NoMatch items="repositories" onClear={() => void navigate({ search: {} })} />
      )}
      <ul className="grid gap-4">
        {shown?.map((repository) => (
          <li key={repository.id}>
            <RepositoryCard repository={repository} canEdit={canEdit} onNewSecret={setWebhook} />
          </li>
        ))}
      </ul>
    </div>
  );
}

function WebhookNotice({ webhook, onClose }: { webhook: Webhook; onClose: () => void }) {
  return (
    <div className="card mb-4 grid gap-3 p-4">
      <p className="text-soft">
        To sync after every push, add this webhook to your Git server. Content type:{" "}
        <code>application/json</code>. Event: push. GitLab calls the secret &ldquo;secret token&rdquo;.
      </p>
      <OneTimeSecret label="Webhook URL">{webhook.url}</OneTimeSecret>
      <OneTimeSecret label="Webhook secret (shown only once)">{webhook.secret}</OneTimeSecret>
      <div>
        <Button size="small" look="quiet" onClick={onClose}>
          Done
        </Button>
      </div>
    </div>
  );
}

const LABELS = {
  url: "Repository URL",
  branch: "Branch",
  path: "Folder",
  username: "Username",
  token: "Token",
  approves: "Automatically approve versions that connect to no new host",
};

const NEW_REPOSITORY: Values = {
  url: "",
  branch: "main",
  path: "",
  username: "git",
  token: { set: false },
  approves: false,
};

function valuesOf({ url, branch, path, username, token, approves }: Repository): Values {
  return { url, branch, path, username, token, approves };
}

/** What to send. Without a typed token the stored token is kept. */
function settingsOf({ token, approves, ...texts }: Values): Partial<RepositorySettings> {
  const trimmed = Object.entries(texts).map(([name, text]) => [name, String(text).trim()]);
  const typed = typedSecret(token);
  return { ...Object.fromEntries(trimmed), approves: Boolean(approves), ...(typed && { token: typed }) };
}

function ConnectForm({
  onClose,
  onConnected,
}: {
  onClose: () => void;
  onConnected: (webhook: Webhook) => void;
}) {
  const connect = useConnectRepository();
  const [values, setValues] = useState(NEW_REPOSITORY);
  const messages = fieldMessages(connect.error);
  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    connect.mutate({ token: "", ...settingsOf(values) } as RepositorySettings, {
      onSuccess: ({ webhook_url, webhook_secret }) =>
        onConnected({ url: webhook_url, secret: webhook_secret }),
    });
  }
  return (
    <form onSubmit={submit} aria-label="Connect a repository" className="card mb-4 grid gap-4 p-4">
      <RepositoryFields
        values={values}
        base={NEW_REPOSITORY}
        change={(changes) => setValues({ ...values, ...changes })}
        messages={messages}
      />
      {connect.error && Object.keys(messages).length === 0 && <ErrorNotice error={connect.error} />}
      <div className="flex gap-2">
        <Button type="submit" look="primary" disabledReason={connect.isPending ? "Connecting" : null}>
          Connect
        </Button>
        <Button look="quiet" onClick={onClose}>
          Cancel
        </Button>
      </div>
    </form>
  );
}

function RepositoryFields({ values, base, change, messages }: FormFields) {
  const stored = base.token as Repository["token"];
  /** The attributes of the field for a text of the settings. */
  const text = (name: keyof typeof LABELS) => ({
    label: LABELS[name],
    value: String(values[name]),
    onChange: ({ target }: ChangeEvent<HTMLInputElement>) => change({ [name]: target.value }),
    error: messages[name],
  });
  return (
    <>
      <TextField
        {...text("url")}
        required
        maxLength={500}
        placeholder="https://git.example.com/team/sources.git"
      />
      <div className="grid gap-4 sm:grid-cols-2">
        <TextField {...text("branch")} required maxLength={200} />
        <TextField
          {...text("path")}
          optional
          maxLength={300}
          hint="Each Python file in this folder becomes a custom source, except files named _… or test_…."
        />
        <TextField
          {...text("username")}
          optional
          maxLength={100}
          hint="Sent with the token. Most servers accept any name."
        />
        <SecretField
          label={LABELS.token}
          value={values.token}
          stored={stored}
          onChange={(token) => change({ token })}
          optional
          maxLength={1000}
          hint={
            stored.set
              ? `Set, ends in ${stored.last4 || "…"}. Leave blank to keep it.`
              : "Use a token that can read this repository and nothing else."
          }
          error={messages.token}
        />
      </div>
      <label className="flex items-start gap-2">
        <input
          type="checkbox"
          className="mt-1"
          checked={Boolean(values.approves)}
          onChange={({ target }) => change({ approves: target.checked })}
        />
        <span>
          {LABELS.approves}
          <span className="block text-soft">
            Anyone who can push then decides what pipelines run. The first version of each custom source must
            still be approved here.
          </span>
        </span>
      </label>
    </>
  );
}

function RepositoryCard({
  repository,
  canEdit,
  onNewSecret,
}: {
  repository: Repository;
  canEdit: boolean;
  onNewSecret: (webhook: Webhook) => void;
}) {
  const [isEditing, setIsEditing] = useState(false);
  const editButton = useFocusReturn(isEditing);
  const sync = useSyncRepository(repository.id);
  const { url, branch, path, commit, outcomes, message } = repository;
  return (
    <article aria-label={url} className="card grid gap-3 p-4">
      <div className="flex flex-wrap items-start gap-x-3 gap-y-2">
        <div className="mr-auto min-w-0">
          <h2 className="font-medium break-all">{url}</h2>
          <p className="text-soft">
            {branch}
            {path && `, folder ${path}`}
          </p>
        </div>
        {canEdit && (
          <Button
            size="small"
            disabledReason={isSyncing(repository) ? "A sync is in progress" : null}
            onClick={() => sync.mutate(undefined, { onError: (error) => showError(error) })}
          >
            Sync now<span className="sr-only"> {url}</span>
          </Button>
        )}
        {canEdit && !isEditing && (
          <Button ref={editButton} size="small" onClick={() => setIsEditing(true)}>
            Edit<span className="sr-only"> {url}</span>
          </Button>
        )}
      </div>
      <p role="status">
        <SyncStatus repository={repository} />
      </p>
      {message && (
        <p className="rounded-card bg-bad-wash px-3 py-2 break-words text-bad first-letter:uppercase">
          {message}
        </p>
      )}
      {commit && (
        <p className="text-soft">
          <code className="font-mono">{commit.id.slice(0, 8)}</code> {commit.subject}
          <span className="text-faint">
            {" "}
            by {commit.author}, <RelativeTime time={commit.committed_at} />
          </span>
        </p>
      )}
      {outcomes.length > 0 && <OutcomeList outcomes={outcomes} />}
      {isEditing && (
        <EditForm id={repository.id} onNewSecret={onNewSecret} onClose={() => setIsEditing(false)} />
      )}
    </article>
  );
}

function SyncStatus({ repository: { status, synced_at } }: { repository: Repository }) {
  const syncTime = <RelativeTime time={synced_at} />;
  if (status === "waiting") return <span className="text-wait">Waiting for a worker</span>;
  if (status === "running") return <span className="text-live">Syncing…</span>;
  if (status === "failed") return <span className="text-bad">Sync failed {syncTime}</span>;
  if (status === "partly") return <span className="text-wait">Synced {syncTime}; some files failed</span>;
  if (status === "succeeded") return <span className="text-good">Synced {syncTime}</span>;
  return <span className="text-faint">Not synced yet</span>;
}

interface EditProps {
  onNewSecret: (webhook: Webhook) => void;
  onClose: () => void;
}

/** Fetches the repository with its version, which the list does not contain. */
function EditForm({ id, ...props }: EditProps & { id: string }) {
  const { data, error, refetch } = useQuery(repositoryQuery(id));
  const repository = dataIfFound(data, error);
  if (repository) return <LoadedEditForm repository={repository} {...props} />;
  return error ? <ErrorNotice error={error} retry={() => void refetch()} /> : <Skeletons rows={3} />;
}

function LoadedEditForm({
  repository,
  onNewSecret,
  onClose,
}: EditProps & { repository: Versioned<Repository> }) {
  const change = useChangeRepository(repository);
  const renewSecret = useRenewWebhookSecret(repository.id);
  const disconnect = useDisconnectRepository(repository);
  const [isConfirming, setIsConfirming] = useState(false);
  function save(values: Values, done: () => void) {
    change.mutate(settingsOf(values), {
      onSuccess: () => {
        showSuccess("Saved. Syncing again.");
        done();
        onClose();
      },
    });
  }
  return (
    <>
      <VersionedForm
        title="Edit repository"
        className="border-t border-line pt-4"
        saved={valuesOf(repository)}
        labels={LABELS}
        secrets={["token"]}
        save={change}
        onSave={(values, _changed, done) => save(values, done)}
        actions={() => (
          <>
            <Button look="quiet" onClick={onClose}>
              Cancel
            </Button>
            <Button
              className="ml-auto"
              onClick={() =>
                renewSecret.mutate(undefined, {
                  onSuccess: ({ webhook_secret }) =>
                    onNewSecret({ url: repository.webhook_url, secret: webhook_secret }),
                  onError: (error) => showError(error),
                })
              }
            >
              New webhook secret
            </Button>
            <Button look="danger" onClick={() => setIsConfirming(true)}>
              Disconnect
            </Button>
          </>
        )}
      >
        {(fields) => (
          <>
            <RepositoryFields {...fields} />
            <p className="text-soft">
              Webhook: <code className="font-mono text-[0.8125rem] break-all">{repository.webhook_url}</code>
            </p>
          </>
        )}
      </VersionedForm>
      <DestroyDialog
        target={isConfirming ? repository : null}
        nameOf={({ url }) => url}
        verb="Disconnect"
        destruction={{
          ...disconnect,
          mutate: (_repository, options) => disconnect.mutate(undefined, options),
        }}
        onClose={() => setIsConfirming(false)}
      >
        Its custom sources and their versions are kept, and can then be edited here. The webhook stops
        working.
      </DestroyDialog>
    </>
  );
}
