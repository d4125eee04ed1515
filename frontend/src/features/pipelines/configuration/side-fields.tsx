import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useId } from "react";
import type { CatalogueEntry, ConnectorRow } from "@/api/types";
import { catalogueQuery, savedConnectorsQuery, type Role } from "@/components/connectors/queries";
import { unlistedKind } from "@/components/connectors/use-kind-name";
import { Field, TextField } from "@/components/field";
import { ErrorNotice, Skeletons } from "@/components/notice";
import { withoutSecrets, type Config, type Schema } from "@/components/schema-form/schema";
import { SchemaForm } from "@/components/schema-form/schema-form";
import { settingErrors, type Messages } from "@/components/schema-form/validation";
import type { Side } from "./values";

interface Choices {
  connectors: ConnectorRow[];
  kinds: CatalogueEntry[];
  isLoading: boolean;
  /** Why the connectors or the kinds could not be loaded, or null. */
  error: unknown;
  reload: () => void;
}

/** The saved connectors and the kinds of one side. The lists are empty until they are loaded. */
export function useSideChoices(role: Role): Choices {
  const connectors = useQuery(savedConnectorsQuery(role));
  const kinds = useQuery(catalogueQuery(role));
  return {
    connectors: connectors.data?.results ?? [],
    kinds: kinds.data?.results ?? [],
    isLoading: connectors.isPending || kinds.isPending,
    error: connectors.data && kinds.data ? null : (connectors.error ?? kinds.error),
    reload: () => void Promise.all([connectors.refetch(), kinds.refetch()]),
  };
}

/** A source or destination in words, with its settings but without secrets. */
export function sideText({ connector_id, kind, config }: Side, { connectors, kinds }: Choices): string {
  const kindName = nameOfKind(kind, kinds);
  if (connector_id) {
    const name = connectors.find(({ id }) => id === connector_id)?.name ?? "a connector that you cannot see";
    return `${name} (${kindName})`;
  }
  const schema = schemaOf(kind, kinds);
  if (!schema || !config || Object.keys(config).length === 0) return kindName;
  return `${kindName}\n${JSON.stringify(withoutSecrets(schema, schema, config), null, 2)}`;
}

/** Whether the streams of a source of this kind can be read in one snapshot. */
export function hasSnapshots(kind: string, { kinds }: Choices): boolean {
  return kinds.find((entry) => entry.kind === kind)?.shares_snapshots ?? false;
}

/** The messages of settings of this pipeline that are missing or wrong. */
export function wrongSettings({ connector_id, kind, config }: Side, { kinds }: Choices): Messages {
  const schema = connector_id ? null : schemaOf(kind, kinds);
  return schema ? settingErrors(schema, config ?? {}) : {};
}

function nameOfKind(kind: string, kinds: CatalogueEntry[]): string {
  return kinds.find((entry) => entry.kind === kind)?.name ?? unlistedKind(kind);
}

function schemaOf(kind: string, kinds: CatalogueEntry[]): Schema | null {
  return (kinds.find((entry) => entry.kind === kind)?.config_schema as Schema | undefined) ?? null;
}

interface Props {
  role: Role;
  side: Side;
  choices: Choices;
  onChange: (side: Side) => void;
  /** The messages by path, such as `config.port`. */
  errors: Record<string, string>;
}

/** Lets the user choose a saved connector, or a kind with settings of this pipeline. */
export function SideFields({ role, side, choices, onChange, errors }: Props) {
  const titleId = useId();
  const schema = side.connector_id ? null : schemaOf(side.kind, choices.kinds);
  const title = role === "source" ? "Source" : "Destination";
  return (
    <section aria-labelledby={titleId} className="card grid min-w-0 content-start gap-4 p-4">
      <h2 id={titleId} className="font-semibold">
        {title}
      </h2>
      <Field
        label="Connector"
        hint={
          side.connector_id ? (
            <>
              Its settings count for all pipelines that use it.{" "}
              <Link
                to="/connectors/$connectorId"
                params={{ connectorId: side.connector_id }}
                className="link"
              >
                Open the connector
              </Link>
            </>
          ) : (
            "Settings of this pipeline only."
          )
        }
        error={errors[""] || errors.connector_id || errors.kind}
      >
        {(control) => (
          <select
            className="control"
            {...control}
            value={side.connector_id ?? `kind:${side.kind}`}
            onChange={({ target }) => onChange(sideOf(target.value, choices))}
          >
            <SideOptions side={side} choices={choices} />
          </select>
        )}
      </Field>
      {side.kind.startsWith("custom-") && (
        <TextField
          label="Version of the custom source"
          optional
          hint="Blank: the latest approved version."
          inputMode="numeric"
          value={side.version ?? ""}
          error={errors.version}
          onChange={({ target }) =>
            onChange({ ...side, version: target.value === "" ? null : Number(target.value) })
          }
        />
      )}
      {choices.error !== null && <ErrorNotice error={choices.error} retry={choices.reload} />}
      {!side.connector_id && choices.isLoading && choices.error === null && <Skeletons rows={3} />}
      {schema && (
        <SchemaForm
          key={side.kind}
          schema={schema}
          value={side.config ?? {}}
          onChange={(config: Config) => onChange({ ...side, config })}
          errors={withPrefix(role, errors)}
          path={`${role}.config`}
        />
      )}
    </section>
  );
}

function SideOptions({ side, choices }: { side: Side; choices: Choices }) {
  const { connectors, kinds } = choices;
  const isConnectorListed = connectors.some(({ id }) => id === side.connector_id);
  const isKindListed = kinds.some(({ kind }) => kind === side.kind);
  return (
    <>
      {(connectors.length > 0 || side.connector_id) && (
        <optgroup label="Saved connectors">
          {side.connector_id && !isConnectorListed && (
            <option value={side.connector_id}>
              {choices.isLoading || choices.error !== null
                ? "Saved connector"
                : "A connector that you cannot see"}{" "}
              ({nameOfKind(side.kind, kinds)})
            </option>
          )}
          {connectors.map(({ id, name, kind }) => (
            <option key={id} value={id}>
              {name} ({nameOfKind(kind, kinds)})
            </option>
          ))}
        </optgroup>
      )}
      <optgroup label="Settings of this pipeline">
        {!side.connector_id && !isKindListed && (
          <option value={`kind:${side.kind}`}>{unlistedKind(side.kind)}</option>
        )}
        {kinds.map(({ kind, name }) => (
          <option key={kind} value={`kind:${kind}`}>
            {name}
          </option>
        ))}
      </optgroup>
    </>
  );
}

function sideOf(choice: string, { connectors }: Choices): Side {
  if (choice.startsWith("kind:"))
    return { connector_id: null, kind: choice.slice("kind:".length), config: {} };
  const kind = connectors.find(({ id }) => id === choice)?.kind ?? "";
  return { connector_id: choice, kind, config: null };
}

function withPrefix(path: string, messages: Messages): Messages {
  return Object.fromEntries(
    Object.entries(messages).map(([field, message]) => [`${path}.${field}`, message]),
  );
}
