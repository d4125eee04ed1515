import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { fieldMessages, nameTakenMessage } from "@/api/problem";
import type { CodeReport } from "@/api/types";
import { Button } from "@/components/button";
import { TextField } from "@/components/field";
import { ErrorNotice } from "@/components/notice";
import { useCreateSource } from "./queries";

/** The name of a new custom source, and a function that saves the code and opens the page of the source. */
export function useNewSource(code: string) {
  const navigate = useNavigate();
  const create = useCreateSource();
  const [name, setName] = useState("");
  function save(approve: boolean) {
    if (create.isPending) return;
    create.mutate(
      { name: name.trim(), code, approve },
      { onSuccess: ({ id }) => void navigate({ to: "/sources/$sourceId", params: { sourceId: id } }) },
    );
  }
  return { name, setName, save, error: create.error };
}

interface Props {
  source: ReturnType<typeof useNewSource>;
  report: CodeReport | undefined;
}

export function SaveNewSource({ source: { name, setName, save, error }, report }: Props) {
  const nameReason = name.trim() ? null : "Enter a name first.";
  const takenMessage = nameTakenMessage(error);
  return (
    <>
      <TextField
        label="Name"
        value={name}
        maxLength={120}
        placeholder={report?.source_name}
        onChange={({ target }) => setName(target.value)}
        error={takenMessage ?? fieldMessages(error).name}
      />
      <div className="flex flex-wrap gap-2">
        <Button
          look="primary"
          disabledReason={nameReason ?? (report?.valid ? null : "Fix the errors first.")}
          onClick={() => save(true)}
        >
          Save and approve
        </Button>
        <Button disabledReason={nameReason} onClick={() => save(false)}>
          Save draft
        </Button>
      </div>
      {error && !takenMessage && <ErrorNotice error={error} />}
    </>
  );
}
