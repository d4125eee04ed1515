import { Link, useRouter } from "@tanstack/react-router";
import { buttonLook } from "@/components/button";
import { EmptyState, ErrorNotice } from "@/components/notice";

export function NotFoundPage() {
  return (
    <main id="main">
      <EmptyState
        title="Nothing is here"
        action={
          <Link to="/pipelines" className={buttonLook("primary")}>
            Go to the pipelines
          </Link>
        }
      >
        The address may be mistyped, or what it named was removed or belongs to another organization.
      </EmptyState>
    </main>
  );
}

export function PageError({ error, reset }: { error: unknown; reset: () => void }) {
  const router = useRouter();
  return (
    <main id="main" className="mx-auto max-w-2xl p-6">
      <ErrorNotice
        error={error}
        retry={() => {
          reset();
          void router.invalidate();
        }}
      />
    </main>
  );
}
