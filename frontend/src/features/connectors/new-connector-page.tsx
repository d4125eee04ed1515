import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import type { CatalogueEntry } from "@/api/types";
import { Button } from "@/components/button";
import { ChosenConnector } from "@/components/connectors/chosen-connector";
import { ConnectorPicker } from "@/components/connectors/connector-picker";
import {
  NewConnectorFields,
  NewConnectorResult,
  TestButton,
  useNewConnector,
} from "@/components/connectors/new-connector";
import { useChosenKind } from "@/components/connectors/kept-settings";
import { EmptyState } from "@/components/notice";
import { PageHeader } from "@/components/page";
import { showSuccess } from "@/components/toast";
import { useEditableDomains } from "@/session/use-editable-domains";
import { useHasPermissionSomewhere, useReadOnlyReason } from "@/session/use-session";
import type { Role } from "./filter";

const ROLES: { role: Role; title: string; text: string }[] = [
  { role: "source", title: "Source", text: "A system that pipelines read from" },
  { role: "destination", title: "Destination", text: "A system that pipelines write to" },
];

export function NewConnectorPage() {
  const isEditor = useHasPermissionSomewhere("connectors.edit");
  const readOnlyReason = useReadOnlyReason();
  const blocker =
    readOnlyReason ?? (isEditor ? null : "Your role lets you view connectors, not create them.");
  return (
    <div className="mx-auto max-w-4xl px-4 py-5 md:px-6">
      <nav aria-label="Breadcrumb" className="text-[0.8125rem] text-faint">
        <Link to="/connectors" className="hover:underline">
          Connectors
        </Link>
      </nav>
      <PageHeader title="New connector" />
      {blocker ? <EmptyState title="You cannot create a connector">{blocker}</EmptyState> : <Choices />}
    </div>
  );
}

/** Lets the user choose whether the connector is a source or a destination, then its kind, then its settings. */
function Choices() {
  const { role = "source" } = useSearch({ from: "/app/connectors/new" });
  const navigate = useNavigate({ from: "/connectors/new" });
  return (
    <div className="card grid gap-5 p-4">
      <fieldset>
        <legend className="mb-1.5 text-[0.8125rem] font-medium">Role</legend>
        <div className="grid gap-2 sm:grid-cols-2">
          {ROLES.map(({ role: value, title, text }) => (
            <label key={value} className="flex items-start gap-2.5">
              <input
                type="radio"
                name="role"
                className="mt-1 accent-live"
                checked={role === value}
                onChange={() => void navigate({ search: { role: value }, replace: true })}
              />
              <span>
                <span className="font-medium">{title}</span>
                <span className="block text-xs text-soft">{text}</span>
              </span>
            </label>
          ))}
        </div>
      </fieldset>
      <KindAndSettings key={role} role={role} />
    </div>
  );
}

function KindAndSettings({ role }: { role: Role }) {
  const kind = useChosenKind(role, `new-connector.${role}`);
  const [hasChosen, setHasChosen] = useState(false);
  function choose(next: CatalogueEntry | null) {
    kind.choose(next);
    setHasChosen(true);
  }
  if (kind.entry) return <Settings role={role} entry={kind.entry} onChooseAnother={() => choose(null)} />;
  return <ConnectorPicker role={role} autoFocus={hasChosen} onSelectKind={choose} />;
}

interface SettingsProps {
  role: Role;
  entry: CatalogueEntry;
  onChooseAnother: () => void;
}

function Settings({ role, entry, onChooseAnother }: SettingsProps) {
  const form = useNewConnector(role, entry, useEditableDomains("connectors.edit"), `new-connector.${role}`);
  const navigate = useNavigate();
  return (
    <ChosenConnector title={entry.name} text={`New ${role}`} isNew onChooseAnother={onChooseAnother}>
      <NewConnectorFields form={form} />
      <NewConnectorResult form={form} />
      <div className="flex flex-wrap gap-2">
        <Button
          look="primary"
          disabledReason={form.isSaving ? "Saving" : null}
          onClick={() =>
            form.save(({ id, name }) => {
              showSuccess(`${name} was created.`);
              void navigate({ to: "/connectors/$connectorId", params: { connectorId: id } });
            })
          }
        >
          {form.isSaving ? "Saving…" : "Save connector"}
        </Button>
        <TestButton isPending={form.check.isPending} onClick={form.test} />
      </div>
    </ChosenConnector>
  );
}
