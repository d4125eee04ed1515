import { useQuery } from "@tanstack/react-query";
import { useId, useState, type ReactNode } from "react";
import type { CatalogueEntry, ConnectorRow } from "@/api/types";
import { ConnectorLogo } from "@/components/connector-logo";
import { ErrorNotice, Skeletons } from "@/components/notice";
import { Name } from "@/components/name";
import { SearchInput } from "@/components/search-field";
import { catalogueQuery, savedConnectorsQuery, type Role } from "./queries";
import { unlistedKind } from "./use-kind-name";

interface Props {
  role: Role;
  /** Without it, only the kinds are offered. */
  onSelectConnector?: (connector: ConnectorRow) => void;
  onSelectKind: (entry: CatalogueEntry) => void;
  /** Whether the search has the focus, because the user has just come back to the picker. */
  autoFocus?: boolean;
}

/** Lets the user choose a saved connector, or a kind of source or destination to set up. */
export function ConnectorPicker({ role, onSelectConnector, onSelectKind, autoFocus }: Props) {
  const catalogue = useQuery(catalogueQuery(role));
  const saved = useQuery({ ...savedConnectorsQuery(role), enabled: onSelectConnector !== undefined });
  const [text, setText] = useState("");
  const error = catalogue.error ?? saved.error;
  if (error)
    return (
      <ErrorNotice error={error} retry={() => void Promise.all([catalogue.refetch(), saved.refetch()])} />
    );
  if (!catalogue.data || (onSelectConnector && !saved.data)) return <Skeletons rows={3} />;

  const kindNames = new Map(catalogue.data.results.map((entry) => [entry.kind, entry.name]));
  const matchesSearch = (...words: (string | undefined)[]) =>
    words.some((word) => word?.toLowerCase().includes(text.trim().toLowerCase()));
  const connectors = (saved.data?.results ?? []).filter(({ name, kind }) =>
    matchesSearch(name, kind, kindNames.get(kind)),
  );
  const kinds = catalogue.data.results.filter((entry) =>
    matchesSearch(entry.name, entry.kind, entry.description),
  );
  return (
    <div className="grid gap-4">
      <SearchInput label={`Search ${role}s`} autoFocus={autoFocus} value={text} onChange={setText} />
      {onSelectConnector && connectors.length > 0 && (
        <Cards title="Saved connectors">
          {connectors.map((connector) => (
            <Card
              key={connector.id}
              kind={connector.kind}
              title={connector.name}
              text={kindNames.get(connector.kind) ?? unlistedKind(connector.kind)}
              onClick={() => onSelectConnector(connector)}
            />
          ))}
        </Cards>
      )}
      {kinds.length > 0 && (
        <Cards title={`New ${role}`}>
          {kinds.map((entry) => (
            <Card
              key={entry.kind}
              kind={entry.kind}
              title={entry.name}
              text={entry.description}
              onClick={() => onSelectKind(entry)}
            />
          ))}
        </Cards>
      )}
      {connectors.length + kinds.length === 0 && (
        <p className="text-soft">
          No {role} matches “{text}”.
        </p>
      )}
    </div>
  );
}

function Cards({ title, children }: { title: string; children: ReactNode }) {
  const id = useId();
  return (
    <div role="group" aria-labelledby={id}>
      <h3 id={id} className="mb-1.5 text-[0.8125rem] font-medium">
        {title}
      </h3>
      <div className="grid gap-2 sm:grid-cols-2 @3xl/page:grid-cols-3">{children}</div>
    </div>
  );
}

interface CardProps {
  kind: string;
  title: string;
  text: string;
  onClick: () => void;
}

function Card({ kind, title, text, onClick }: CardProps) {
  return (
    <button
      type="button"
      onClick={onClick}
      className="flex min-h-14 min-w-0 flex-col rounded-card border border-line bg-surface px-3 py-2 text-left hover:bg-hover"
    >
      <span className="flex max-w-full min-w-0 items-center gap-1.5">
        <ConnectorLogo kind={kind} />
        <Name cut className="font-medium">
          {title}
        </Name>
      </span>
      <span className="line-clamp-3 text-xs text-soft">{text}</span>
    </button>
  );
}
