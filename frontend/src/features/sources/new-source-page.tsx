import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { buttonClasses } from "@/components/button";
import { Field } from "@/components/field";
import { AgentIcon } from "@/components/icons";
import { Skeletons } from "@/components/notice";
import { PageHeader } from "@/components/page";
import { useHasPermission } from "@/session/use-session";
import { LoadErrorPage } from "@/components/error-pages";
import { Builder } from "./builder";
import { cookbookQuery } from "./queries";
import { SaveNewSource, useNewSource } from "./save-new-source";

export function NewSourcePage() {
  const canEdit = useHasPermission()("custom_sources.edit");
  const { data, error, refetch } = useQuery({ ...cookbookQuery, enabled: canEdit });
  if (!canEdit) {
    return (
      <div className="mx-auto max-w-[100rem] px-4 py-5 md:px-6">
        <PageHeader title="New custom source" />
        <p className="text-soft">
          You need the permission to edit custom sources to create one.{" "}
          <Link to="/sources" className="link">
            Back to custom sources
          </Link>
        </p>
      </div>
    );
  }
  return (
    <div className="mx-auto max-w-[100rem] px-4 py-5 md:px-6">
      <PageHeader title="New custom source">
        <Link to="/sources/builder/{-$conversationId}" className={buttonClasses()}>
          <AgentIcon className="-ml-0.5 text-brand" />
          Build it with the agent
        </Link>
      </PageHeader>
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
  const [recipeName, setRecipeName] = useState(recipes[0]!.name);
  const [code, setCode] = useState(recipes[0]!.code);
  const source = useNewSource(code);
  const isUnchanged = recipes.some((recipe) => recipe.code === code);

  return (
    <Builder code={code} onChange={setCode} onSave={() => source.save(false)} canEdit>
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
          <SaveNewSource source={source} report={report} />
          <p className="text-faint">
            Pipelines run only approved versions. Approving a version allows its code to connect to the hosts
            listed below.
          </p>
          <details className="text-soft">
            <summary>Packages the code can import</summary>
            <p className="mt-1 font-mono text-[0.78rem]">{packages.join(", ")}, and the standard library.</p>
          </details>
        </section>
      )}
    </Builder>
  );
}
