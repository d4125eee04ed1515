import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { ProblemError } from "@/api/problem";
import type { Connector } from "@/api/types";
import { Button } from "@/components/button";
import { ConfirmDialog } from "@/components/dialog";
import { ErrorNotice } from "@/components/notice";
import { showSuccess } from "@/components/toast";
import { pipelinesOfConnectorQuery, useDeleteConnector } from "./queries";

/** Deletes the connector after the user has typed its name. It cannot be deleted while pipelines use it. */
export function DeleteButton({ connector }: { connector: Connector }) {
  const [isOpen, setIsOpen] = useState(false);
  const navigate = useNavigate();
  const remove = useDeleteConnector(connector, () => {
    showSuccess(`${connector.name} was deleted.`);
    return navigate({ to: "/connectors" });
  });
  const { data } = useQuery(pipelinesOfConnectorQuery(connector.id));
  const isRefused = remove.error instanceof ProblemError && remove.error.code === "in_use";
  const isUsed = connector.pipeline_count > 0 || isRefused;
  return (
    <>
      <Button
        look="danger"
        onClick={() => {
          remove.reset();
          setIsOpen(true);
        }}
      >
        Delete
      </Button>
      <ConfirmDialog
        open={isOpen}
        title={isUsed ? `${connector.name} is in use` : `Delete ${connector.name}?`}
        confirmLabel={isUsed ? undefined : remove.isPending ? "Deleting…" : "Delete"}
        nameToType={isUsed ? undefined : connector.name}
        danger
        onClose={() => setIsOpen(false)}
        onConfirm={() => remove.mutate()}
      >
        {isUsed ? (
          <>
            <p>It cannot be deleted while pipelines use it. Change or delete these pipelines first:</p>
            <PipelineLinks pipelines={data?.results ?? []} hiddenCount={hiddenCount(data)} />
          </>
        ) : (
          <p>Its settings and passwords are deleted. They cannot be restored.</p>
        )}
        {remove.error && !isRefused && <ErrorNotice error={remove.error} />}
      </ConfirmDialog>
    </>
  );
}

function hiddenCount(page: { count: number; results: unknown[] } | undefined): number {
  return page ? page.count - page.results.length : 0;
}

interface LinksProps {
  pipelines: { id: string; name: string }[];
  hiddenCount: number;
}

function PipelineLinks({ pipelines, hiddenCount }: LinksProps) {
  return (
    <ul className="mt-2 max-h-48 list-disc overflow-auto pl-5">
      {pipelines.map(({ id, name }) => (
        <li key={id} className="wrap-anywhere">
          <Link to="/pipelines/$pipelineId" params={{ pipelineId: id }} className="underline">
            {name}
          </Link>
        </li>
      ))}
      {hiddenCount > 0 && <li>and {hiddenCount} more</li>}
    </ul>
  );
}
