import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { CatalogueEntry, ConnectorRow } from "@/api/types";
import { classNames } from "@/components/class-names";
import { SearchIcon } from "@/components/icons";
import { ErrorNotice, Skeletons } from "@/components/notice";
import { catalogueQuery, connectorsQuery, type Role } from "./queries";

interface Props {
  role: Role;
  connectorId: string | null;
  kind: string | null;
  onSelectConnector: (connector: ConnectorRow) => void;
  onSelectKind: (entry: CatalogueEntry) => void;
}

/** Lets the user choose a saved connector, or a kind of source or destination to set up. */
export function EndpointPicker({ role, connectorId, kind, onSelectConnector, onSelectKind }: Props) {
  const catalogue = useQuery(catalogueQuery(role));
  const savedConnectors = useQuery(connectorsQuery(role));
  const [text, setText] = useState("");
  const error = catalogue.error ?? savedConnectors.error;
  if (error)
    return (
      <ErrorNotice
        error={error}
        retry={() => void Promise.all([catalogue.refetch(), savedConnectors.refetch()])}
      />
    );
  if (!catalogue.data || !savedConnectors.data) return <Skeletons rows={3} />;

  const kindNames = new Map(catalogue.data.results.map((entry) => [entry.kind, entry.name]));
  const matchesSearch = (...words: (string | undefined)[]) =>
    words.some((word) => word?.toLowerCase().includes(text.toLowerCase()));
  const connectors = savedConnectors.data.results.filter(({ name, kind }) => matchesSearch(name, kind));
  const kinds = catalogue.data.results.filter((entry) =>
    matchesSearch(entry.name, entry.kind, entry.description),
  );
  return (
    <div className="grid gap-4">
      <div className="relative sm:w-72">
        <SearchIcon className="absolute top-2.5 left-2.5 text-faint" />
        <input
          data-search
          type="search"
          aria-label={`Search ${role}s`}
          placeholder="Search (press /)"
          className="control pl-8!"
          value={text}
          onChange={({ target }) => setText(target.value)}
        />
      </div>
      {connectors.length > 0 && (
        <Choices legend="Saved connectors">
          {connectors.map((connector) => (
            <Choice
              key={connector.id}
              group={`${role}-endpoint`}
              title={connector.name}
              text={kindNames.get(connector.kind) ?? connector.kind}
              checked={connectorId === connector.id}
              onChoose={() => onSelectConnector(connector)}
            />
          ))}
        </Choices>
      )}
      {kinds.length > 0 && (
        <Choices legend={`New ${role}`}>
          {kinds.map((entry) => (
            <Choice
              key={entry.kind}
              group={`${role}-endpoint`}
              title={entry.name}
              text={entry.description}
              checked={connectorId === null && kind === entry.kind}
              onChoose={() => onSelectKind(entry)}
            />
          ))}
        </Choices>
      )}
      {connectors.length + kinds.length === 0 && (
        <p className="text-soft">
          No {role} matches “{text}”.
        </p>
      )}
    </div>
  );
}

function Choices({ legend, children }: { legend: string; children: React.ReactNode }) {
  return (
    <fieldset>
      <legend className="mb-1.5 text-[0.8125rem] font-medium">{legend}</legend>
      <div className="grid gap-2 sm:grid-cols-2 @3xl/page:grid-cols-3">{children}</div>
    </fieldset>
  );
}

interface ChoiceProps {
  group: string;
  title: string;
  text?: string;
  checked: boolean;
  onChoose: () => void;
}

export function Choice({ group, title, text, checked, onChoose }: ChoiceProps) {
  return (
    <label
      className={classNames(
        "flex min-h-14 cursor-pointer items-start gap-2.5 rounded-card border px-3 py-2",
        "has-[:focus-visible]:outline-2 has-[:focus-visible]:outline-offset-2 has-[:focus-visible]:outline-live",
        checked ? "border-live bg-live-wash" : "border-line bg-surface hover:bg-hover",
      )}
    >
      <input
        type="radio"
        name={group}
        className="mt-1 accent-live outline-none"
        checked={checked}
        onChange={onChoose}
      />
      <span className="min-w-0">
        <span className="block truncate font-medium">{title}</span>
        {text && <span className="line-clamp-3 text-xs text-soft">{text}</span>}
      </span>
    </label>
  );
}
