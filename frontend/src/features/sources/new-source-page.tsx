import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { fieldMessages, nameTakenMessage } from "@/api/problem";
import { Button } from "@/components/button";
import { Field, TextField } from "@/components/field";
import { ErrorNotice, Skeletons } from "@/components/notice";
import { PageHeader } from "@/components/page";
import { useHasPermission } from "@/session/use-session";
import { LoadErrorPage } from "@/components/error-pages";
import { Builder } from "./builder";
import { cookbookQuery, useCreateSource } from "./queries";

export function NewSourcePage() {
  const { data, error, refetch } = useQuery(cookbookQuery);
  return (
    <div className="mx-auto max-w-[100rem] px-4 py-5 md:px-6">
      <PageHeader title="New custom source" />
      {error && <LoadErrorPage error={error} retry={() => void refetch()} />}
      {!data && !error && <Skeletons />}
      {data && <NewSourceForm recipes={data.results} packages={data.packages} />}
    </div>
  );
}

interface Recipe {
  name: string;
  title: string;
  code: string;
}

function NewSourceForm({ recipes, packages }: { recipes: Recipe[]; packages: string[] }) {
  const navigate = useNavigate();
  const canEdit = useHasPermission()("custom_sources.edit");
  const create = useCreateSource();
  const [recipeName, setRecipeName] = useState(recipes[0]!.name);
  const [code, setCode] = useState(recipes[0]!.code);
  const [name, setName] = useState("");
  const isUnchanged = recipes.some((recipe) => recipe.code === code);

  function save(approve: boolean) {
    if (create.isPending) return;
    create.mutate(
      { name: name.trim(), code, approve },
      { onSuccess: ({ id }) => void navigate({ to: "/sources/$sourceId", params: { sourceId: id } }) },
    );
  }

  if (!canEdit) {
    return (
      <p className="text-soft">
        You need the permission to edit custom sources to create one.{" "}
        <Link to="/sources" className="link">
          Back to custom sources
        </Link>
      </p>
    );
  }
  return (
    <Builder code={code} onChange={setCode} onSave={() => save(false)} canEdit>
      {(report) => (
        <section aria-label="Save" className="card grid gap-3 p-4">
          <Field label="Template" hint={isUnchanged ? null : "Choosing another template replaces your code."}>
            {(control) => (
              <select
                {...control}
                className="control"
                value={recipeName}
                onChange={({ target }) => {
                  setRecipeName(target.value);
                  setCode(recipes.find(({ name }) => name === target.value)!.code);
                }}
              >
                {recipes.map(({ name, title }) => (
                  <option key={name} value={name}>
                    {title}
                  </option>
                ))}
              </select>
            )}
          </Field>
          <TextField
            label="Name"
            value={name}
            maxLength={120}
            placeholder={report?.source_name}
            onChange={({ target }) => setName(target.value)}
            error={nameTakenMessage(create.error) ?? fieldMessages(create.error).name}
          />
          <div className="flex flex-wrap gap-2">
            <Button
              look="primary"
              disabledReason={
                name.trim() ? (report?.valid ? null : "Fix the errors first.") : "Enter a name first."
              }
              onClick={() => save(true)}
            >
              Save and approve
            </Button>
            <Button disabledReason={name.trim() ? null : "Enter a name first."} onClick={() => save(false)}>
              Save draft
            </Button>
          </div>
          <p className="text-faint">
            Pipelines run only approved versions. Approving a version allows its code to connect to the hosts
            listed below.
          </p>
          {create.error && !nameTakenMessage(create.error) && <ErrorNotice error={create.error} />}
          <details className="text-soft">
            <summary>Packages the code can import</summary>
            <p className="mt-1 font-mono text-[0.78rem]">{packages.join(", ")}, and the standard library.</p>
          </details>
        </section>
      )}
    </Builder>
  );
}
