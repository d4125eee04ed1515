import { useQuery } from "@tanstack/react-query";
import { Link, useParams, useSearch } from "@tanstack/react-router";
import { dataIfFound, isNotFound } from "@/api/problem";
import type { Connector } from "@/api/types";
import { connectorQuery } from "@/components/connectors/queries";
import { ItemPlaceholder } from "@/components/error-pages";
import { ItemId } from "@/components/item-id";
import { ErrorNotice, Skeletons } from "@/components/notice";
import { PageTitle, usePageTitle } from "@/components/page";
import { RelativeTime } from "@/components/relative-time";
import { useFocusedSetting } from "@/components/schema-form/focus";
import type { Schema } from "@/components/schema-form/schema";
import { settingsInWords } from "@/components/schema-form/settings-in-words";
import { Name } from "@/components/name";
import { useHasPermission, useReadOnlyReason } from "@/session/use-session";
import { DeleteButton } from "./delete-button";
import { EditForm } from "./edit-form";
import { parseConnectorSearch } from "./filter";
import { kindQuery } from "./queries";
import { unlistedKind } from "@/components/connectors/use-kind-name";
import { TestState } from "./test-state";
import { UsedBy } from "./used-by";

export function ConnectorPage() {
  const { connectorId } = useParams({ from: "/app/connectors/$connectorId" });
  const { data, error, refetch } = useQuery(connectorQuery(connectorId));
  const connector = dataIfFound(data, error);
  usePageTitle(connector?.name ?? "Connector");
  return (
    <div className="mx-auto max-w-[80rem] px-4 py-5 md:px-6">
      {!connector && (
        <ItemPlaceholder
          item="connector"
          error={error}
          retry={() => void refetch()}
          wasShown={data !== undefined}
        />
      )}
      {connector && <Content key={connector.id} connector={connector} />}
    </div>
  );
}

function Content({ connector }: { connector: Connector }) {
  const hasPermission = useHasPermission();
  const readOnlyReason = useReadOnlyReason();
  const canEdit = readOnlyReason === null && hasPermission("connectors.edit", connector.domain?.id);
  const kind = useQuery(kindQuery(connector.role, connector.kind));
  const isUnknown = isNotFound(kind.error);
  const schema = kind.data ? (kind.data.config_schema as Schema) : null;
  const { field } = useSearch({ from: "/app/connectors/$connectorId", select: parseConnectorSearch });
  useFocusedSetting(field, canEdit && schema !== null);
  return (
    <>
      <div className="mb-4 flex flex-wrap items-center gap-x-3 gap-y-2">
        <div className="mr-auto min-w-0">
          <nav aria-label="Breadcrumb" className="text-[0.8125rem] text-faint">
            <Link to="/connectors" className="hover:underline">
              Connectors
            </Link>
          </nav>
          <PageTitle>
            <Name>{connector.name}</Name>
          </PageTitle>
          <p className="text-[0.8125rem] text-soft">
            {kind.data?.name ?? unlistedKind(connector.kind)} {connector.role}
          </p>
        </div>
        {canEdit && <DeleteButton connector={connector} />}
      </div>
      <div className="grid gap-4 @3xl/page:grid-cols-[1fr_18rem]">
        <section aria-labelledby="settings-title" className="card min-w-0 self-start p-4">
          <h2 id="settings-title" className="mb-3 font-semibold">
            Settings
          </h2>
          {!schema && !kind.error && <Skeletons rows={4} />}
          {kind.error && !isUnknown && <ErrorNotice error={kind.error} retry={() => void kind.refetch()} />}
          {isUnknown && (
            <p className="text-soft">This kind of connector does not exist any more, so it cannot be used.</p>
          )}
          {schema &&
            (canEdit ? (
              <EditForm connector={connector} schema={schema} />
            ) : (
              <ReadOnlySettings connector={connector} schema={schema} reason={readOnlyReason} />
            ))}
        </section>
        <aside aria-label="About this connector" className="grid min-w-0 content-start gap-4">
          <Details connector={connector} />
          <UsedBy connector={connector} />
        </aside>
      </div>
    </>
  );
}

interface ReadOnlyProps {
  connector: Connector;
  schema: Schema;
  reason: string | null;
}

function ReadOnlySettings({ connector, schema, reason }: ReadOnlyProps) {
  const lines = settingsInWords(schema, connector.config);
  return (
    <>
      {connector.description && <p className="mb-3 whitespace-pre-line text-soft">{connector.description}</p>}
      {lines.length === 0 ? (
        <p className="text-soft">All settings have their default values.</p>
      ) : (
        <dl className="grid gap-x-4 gap-y-1.5 text-[0.8125rem] sm:grid-cols-[minmax(8rem,auto)_1fr]">
          {lines.map(({ path, title, text }) => (
            <div key={path} className="contents">
              <dt className="text-faint">{title}</dt>
              <dd className="min-w-0 wrap-anywhere max-sm:mb-1.5">{text}</dd>
            </div>
          ))}
        </dl>
      )}
      <p className="mt-4 text-[0.8125rem] text-faint">
        {reason ?? "Your role lets you view this connector, not edit it."}
      </p>
    </>
  );
}

function Details({ connector }: { connector: Connector }) {
  const isCustom = connector.kind.startsWith("custom-");
  return (
    <section aria-labelledby="details-title" className="card p-4">
      <h2 id="details-title" className="mb-2 font-semibold">
        Details
      </h2>
      <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1.5 text-[0.8125rem]">
        <dt className="text-faint">Health</dt>
        <dd>
          <TestState connector={connector} />
        </dd>
        <dt className="text-faint">Domain</dt>
        <dd className="wrap-anywhere">{connector.domain?.name ?? "–"}</dd>
        <dt className="text-faint">Updated</dt>
        <dd>
          <RelativeTime time={connector.updated_at} />
        </dd>
        <dt className="text-faint">Created</dt>
        <dd>
          <RelativeTime time={connector.created_at} />
        </dd>
        {isCustom && (
          <>
            <dt className="text-faint">Code</dt>
            <dd>
              <Link
                to="/sources/$sourceId"
                params={{ sourceId: connector.kind.slice("custom-".length) }}
                className="underline"
              >
                Custom source
              </Link>
            </dd>
          </>
        )}
        <dt className="text-faint">ID</dt>
        <dd className="min-w-0">
          <ItemId id={connector.id} path={`/connectors/${connector.id}`} />
        </dd>
      </dl>
    </section>
  );
}
