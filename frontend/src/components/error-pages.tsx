import { Link, useRouter } from "@tanstack/react-router";
import { ProblemError } from "@/api/problem";
import { buttonClasses } from "./button";
import { CodeNotLoadedNotice } from "./code-boundary";
import { CodeNotLoaded } from "./lazy-code";
import { EmptyState, ErrorNotice } from "./notice";
import { usePageTitle } from "./page";

/** A page without the navigation. Users who are logged in see `NotFound` inside the navigation. */
export function NotFoundPage() {
  return (
    <main>
      <NotFound />
    </main>
  );
}

/** The content of a page whose data could not be loaded. */
export function LoadErrorPage({ error, retry }: { error: unknown; retry: () => void }) {
  if (error instanceof ProblemError && error.status === 404) return <NotFound />;
  return <ErrorNotice error={error} retry={retry} />;
}

export function NotFound() {
  usePageTitle("Page not found");
  return (
    <EmptyState
      isPage
      title="Page not found"
      action={
        <Link to="/pipelines" className={buttonClasses("primary")}>
          Go to pipelines
        </Link>
      }
    >
      The address may be wrong, or the item was deleted or belongs to another organization.
    </EmptyState>
  );
}

/** Replaces a page that has thrown an error, or whose code could not be loaded. */
export function RouteErrorPage({ error, reset }: { error: unknown; reset: () => void }) {
  const router = useRouter();
  if (error instanceof CodeNotLoaded) {
    return (
      <div className="mx-auto max-w-2xl p-6">
        <CodeNotLoadedNotice />
      </div>
    );
  }
  return (
    <div className="mx-auto max-w-2xl p-6">
      <ErrorNotice
        error={error}
        retry={() => {
          reset();
          void router.invalidate();
        }}
      />
    </div>
  );
}
