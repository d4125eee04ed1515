import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { fieldMessages } from "@/api/problem";
import type { Repository } from "@/api/types";
import { Button } from "@/components/button";
import { ConfirmDialog } from "@/components/dialog";
import { TextField } from "@/components/field";
import { EmptyState, ErrorNotice, Skeletons } from "@/components/notice";
import { PageHeader } from "@/components/page";
import { OneTimeSecret } from "@/components/one-time-secret";
import { showError, showSuccess } from "@/components/toast";
import { RelativeTime } from "@/components/relative-time";
import { useHasPermission } from "@/session/use-session";
import { LoadErrorPage } from "@/components/error-pages";
import { OutcomeList } from "./outcome-list";
import {
  isSyncing,
  repositoriesQuery,
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
  const [isConnecting, setIsConnecting] = useState(false);
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
          <Button look="primary" onClick={() => setIsConnecting(true)}>
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
      {error && !data && <LoadErrorPage error={error} retry={() => void refetch()} />}
      {!data && !error && <Skeletons />}
      {data?.results.length === 0 && !isConnecting && (
        <EmptyState title="No repositories connected">
          Keep custom sources in Git with the rest of your code. Each Python file in a folder becomes a custom
          source, and each push creates a new version with its commit and author. Pipelines run a version only
          after someone approves it.
        </EmptyState>
      )}
      <ul className="grid gap-4">
        {data?.results.map((repository) => (
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

function ConnectForm({
  onClose,
  onConnected,
}: {
  onClose: () => void;
  onConnected: (webhook: Webhook) => void;
}) {
  const connect = useConnectRepository();
  const messages = fieldMessages(connect.error);
  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    connect.mutate(readForm(event.currentTarget), {
      onSuccess: ({ webhook_url, webhook_secret }) =>
        onConnected({ url: webhook_url, secret: webhook_secret }),
    });
  }
  return (
    <form onSubmit={submit} aria-label="Connect a repository" className="card mb-4 grid gap-4 p-4">
      <RepositoryFields messages={messages} />
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

function RepositoryFields({
  messages,
  repository,
}: {
  messages: Record<string, string>;
  repository?: Repository;
}) {
  return (
    <>
      <TextField
        label="Repository URL"
        name="url"
        required
        maxLength={500}
        placeholder="https://git.example.com/team/sources.git"
        defaultValue={repository?.url}
        error={messages.url}
      />
      <div className="grid gap-4 sm:grid-cols-2">
        <TextField
          label="Branch"
          name="branch"
          required
          maxLength={200}
          defaultValue={repository?.branch ?? "main"}
          error={messages.branch}
        />
        <TextField
          label="Folder"
          name="path"
          optional
          maxLength={300}
          hint="Each Python file in this folder becomes a custom source, except files named _… or test_…."
          defaultValue={repository?.path}
          error={messages.path}
        />
        <TextField
          label="Username"
          name="username"
          optional
          maxLength={100}
          hint="Sent with the token. Most servers accept any name."
          defaultValue={repository?.username ?? "git"}
          error={messages.username}
        />
        <TextField
          label="Token"
          name="token"
          type="password"
          autoComplete="off"
          optional
          maxLength={1000}
          hint={
            repository?.token.set
              ? `Set, ends in ${repository.token.last4 || "…"}. Leave blank to keep it.`
              : "Use a token that can read this repository and nothing else."
          }
          error={messages.token}
        />
      </div>
      <label className="flex items-start gap-2">
        <input type="checkbox" name="approves" className="mt-1" defaultChecked={repository?.approves} />
        <span>
          Automatically approve versions that connect to no new host
          <span className="block text-soft">
            Anyone who can push then decides what pipelines run. The first version of each custom source must
            still be approved here.
          </span>
        </span>
      </label>
    </>
  );
}

function readForm(form: HTMLFormElement): RepositorySettings {
  const data = new FormData(form);
  const text = (name: string) => String(data.get(name) ?? "").trim();
  return {
    url: text("url"),
    branch: text("branch"),
    path: text("path"),
    username: text("username"),
    token: text("token"),
    approves: data.has("approves"),
  };
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
          <Button size="small" onClick={() => setIsEditing(true)}>
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
        <EditForm repository={repository} onNewSecret={onNewSecret} onClose={() => setIsEditing(false)} />
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

function EditForm({
  repository,
  onNewSecret,
  onClose,
}: {
  repository: Repository;
  onNewSecret: (webhook: Webhook) => void;
  onClose: () => void;
}) {
  const change = useChangeRepository(repository.id);
  const renewSecret = useRenewWebhookSecret(repository.id);
  const disconnect = useDisconnectRepository(repository.id);
  const [isConfirming, setIsConfirming] = useState(false);
  const messages = fieldMessages(change.error);
  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const { token, ...otherSettings } = readForm(event.currentTarget);
    change.mutate(token ? { ...otherSettings, token } : otherSettings, {
      onSuccess: () => {
        showSuccess("Saved. Syncing again.");
        onClose();
      },
    });
  }
  return (
    <form onSubmit={submit} aria-label="Edit repository" className="grid gap-4 border-t border-line pt-4">
      <RepositoryFields messages={messages} repository={repository} />
      {change.error && Object.keys(messages).length === 0 && <ErrorNotice error={change.error} />}
      <p className="text-soft">
        Webhook: <code className="font-mono text-[0.8125rem] break-all">{repository.webhook_url}</code>
      </p>
      <div className="flex flex-wrap gap-2">
        <Button type="submit" look="primary" disabledReason={change.isPending ? "Saving" : null}>
          Save
        </Button>
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
      </div>
      <ConfirmDialog
        open={isConfirming}
        title="Disconnect this repository?"
        confirmLabel="Disconnect"
        danger
        onClose={() => setIsConfirming(false)}
        onConfirm={() => {
          setIsConfirming(false);
          disconnect.mutate(undefined, { onError: (error) => showError(error) });
        }}
      >
        Its custom sources and their versions are kept, and can then be edited here. The webhook stops
        working.
      </ConfirmDialog>
    </form>
  );
}
