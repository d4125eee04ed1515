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
import { ShownOnce } from "@/components/shown-once";
import { showError, showSuccess } from "@/components/toast";
import { When } from "@/components/when";
import { useMay } from "@/session/use-session";
import { PageProblem } from "@/components/error-pages";
import { OutcomeList } from "./outcome-list";
import {
  isUnderWay,
  repositoriesQuery,
  useChangeRepository,
  useConnect,
  useDisconnect,
  useRenewSecret,
  useSync,
  type Connection,
} from "./repository-queries";

type Webhook = { url: string; secret: string };

export function RepositoriesPage() {
  const canEdit = useMay()("custom_sources.edit");
  const { data, error, refetch } = useQuery(repositoriesQuery);
  const [connecting, setConnecting] = useState(false);
  const [webhook, setWebhook] = useState<Webhook | null>(null);
  return (
    <div className="mx-auto max-w-[60rem] px-4 py-5 md:px-6">
      <nav aria-label="Breadcrumb" className="text-[0.8125rem] text-faint">
        <Link to="/sources" className="hover:underline">
          Custom sources
        </Link>
      </nav>
      <PageHeader title="Git repositories" count={data?.results.length}>
        {canEdit && !connecting && (
          <Button look="primary" onClick={() => setConnecting(true)}>
            Connect a repository
          </Button>
        )}
      </PageHeader>
      {webhook && <WebhookNotice webhook={webhook} onClose={() => setWebhook(null)} />}
      {connecting && (
        <ConnectForm
          onClose={() => setConnecting(false)}
          onConnected={(made) => {
            setConnecting(false);
            setWebhook(made);
          }}
        />
      )}
      {error && !data && <PageProblem error={error} retry={() => void refetch()} />}
      {!data && !error && <Skeletons />}
      {data?.results.length === 0 && !connecting && (
        <EmptyState title="No repositories connected">
          Keep custom sources in Git with the rest of your code. Each Python file in a folder becomes a custom
          source, and each push creates a new version with its commit and author. Pipelines run a version only
          after someone approves it.
        </EmptyState>
      )}
      <ul className="grid gap-4">
        {data?.results.map((repository) => (
          <li key={repository.id}>
            <RepositoryCard repository={repository} canEdit={canEdit} onSecret={setWebhook} />
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
      <ShownOnce label="Webhook URL">{webhook.url}</ShownOnce>
      <ShownOnce label="Webhook secret (shown only once)">{webhook.secret}</ShownOnce>
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
  const connect = useConnect();
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
      <Fields messages={messages} />
      {connect.error && Object.keys(messages).length === 0 && <ErrorNotice error={connect.error} />}
      <div className="flex gap-2">
        <Button type="submit" look="primary" blocked={connect.isPending ? "Connecting" : null}>
          Connect
        </Button>
        <Button look="quiet" onClick={onClose}>
          Cancel
        </Button>
      </div>
    </form>
  );
}

function Fields({ messages, repository }: { messages: Record<string, string>; repository?: Repository }) {
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
          hint="Each Python file in it becomes a custom source, except files named _… or test_…."
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

function readForm(form: HTMLFormElement): Connection {
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
  onSecret,
}: {
  repository: Repository;
  canEdit: boolean;
  onSecret: (webhook: Webhook) => void;
}) {
  const [editing, setEditing] = useState(false);
  const sync = useSync(repository.id);
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
            blocked={isUnderWay(repository) ? "A sync is in progress" : null}
            onClick={() => sync.mutate(undefined, { onError: (error) => showError(error) })}
          >
            Sync now<span className="sr-only"> {url}</span>
          </Button>
        )}
        {canEdit && !editing && (
          <Button size="small" onClick={() => setEditing(true)}>
            Edit<span className="sr-only"> {url}</span>
          </Button>
        )}
      </div>
      <p role="status">
        <State repository={repository} />
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
            by {commit.author}, <When at={commit.committed_at} />
          </span>
        </p>
      )}
      {outcomes.length > 0 && <OutcomeList outcomes={outcomes} />}
      {editing && <EditForm repository={repository} onSecret={onSecret} onClose={() => setEditing(false)} />}
    </article>
  );
}

function State({ repository: { status, synced_at } }: { repository: Repository }) {
  const when = <When at={synced_at} />;
  if (status === "waiting") return <span className="text-wait">Waiting for a worker</span>;
  if (status === "running") return <span className="text-live">Syncing…</span>;
  if (status === "failed") return <span className="text-bad">Sync failed {when}</span>;
  if (status === "partly") return <span className="text-wait">Synced {when}; some files failed</span>;
  if (status === "succeeded") return <span className="text-good">Synced {when}</span>;
  return <span className="text-faint">Not synced yet</span>;
}

function EditForm({
  repository,
  onSecret,
  onClose,
}: {
  repository: Repository;
  onSecret: (webhook: Webhook) => void;
  onClose: () => void;
}) {
  const change = useChangeRepository(repository.id);
  const renew = useRenewSecret(repository.id);
  const disconnect = useDisconnect(repository.id);
  const [asking, setAsking] = useState(false);
  const messages = fieldMessages(change.error);
  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const { token, ...rest } = readForm(event.currentTarget);
    change.mutate(token ? { ...rest, token } : rest, {
      onSuccess: () => {
        showSuccess("Saved. Syncing again.");
        onClose();
      },
    });
  }
  return (
    <form onSubmit={submit} aria-label="Edit repository" className="grid gap-4 border-t border-line pt-4">
      <Fields messages={messages} repository={repository} />
      {change.error && Object.keys(messages).length === 0 && <ErrorNotice error={change.error} />}
      <p className="text-soft">
        Webhook: <code className="font-mono text-[0.8125rem] break-all">{repository.webhook_url}</code>
      </p>
      <div className="flex flex-wrap gap-2">
        <Button type="submit" look="primary" blocked={change.isPending ? "Saving" : null}>
          Save
        </Button>
        <Button look="quiet" onClick={onClose}>
          Cancel
        </Button>
        <Button
          className="ml-auto"
          onClick={() =>
            renew.mutate(undefined, {
              onSuccess: ({ webhook_secret }) =>
                onSecret({ url: repository.webhook_url, secret: webhook_secret }),
              onError: (error) => showError(error),
            })
          }
        >
          New webhook secret
        </Button>
        <Button look="danger" onClick={() => setAsking(true)}>
          Disconnect
        </Button>
      </div>
      <ConfirmDialog
        open={asking}
        title="Disconnect this repository?"
        confirm="Disconnect"
        danger
        onClose={() => setAsking(false)}
        onConfirm={() => {
          setAsking(false);
          disconnect.mutate(undefined, { onError: (error) => showError(error) });
        }}
      >
        Its custom sources and their versions are kept, and can then be edited here. The webhook stops
        working.
      </ConfirmDialog>
    </form>
  );
}
