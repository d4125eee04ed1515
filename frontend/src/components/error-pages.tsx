import { Link, useRouter } from "@tanstack/react-router";
import { isNotFound } from "@/api/problem";
import { buttonClasses } from "./button";
import { CodeNotLoadedNotice } from "./code-boundary";
import { CodeNotLoaded } from "./lazy-code";
import { EmptyState, ErrorNotice, Skeletons } from "./notice";
import { PageTitle, usePageTitle } from "./page";

/** A page without the navigation. Users who are logged in see `NotFound` inside the navigation. */
export function NotFoundPage() {
  return (
    <main>
      <NotFound />
    </main>
  );
}

/** The content of a list whose rows could not be loaded. */
export function LoadErrorPage({ error, retry }: { error: unknown; retry: () => void }) {
  if (isNotFound(error)) return <NotFound />;
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

/** What has a page of its own: its name, and the list that it belongs to. */
const ITEMS = {
  pipeline: { noun: "pipeline", to: "/pipelines", list: "pipelines" },
  run: { noun: "run", to: "/runs", list: "runs" },
  comparison: { noun: "comparison of runs", to: "/runs", list: "runs" },
  connector: { noun: "connector", to: "/connectors", list: "connectors" },
  source: { noun: "custom source", to: "/sources", list: "custom sources" },
  request: { noun: "request", to: "/approvals", list: "requests of programs" },
  conversation: { noun: "conversation", to: "/agent", list: "conversations" },
} as const;

interface ItemProps {
  item: keyof typeof ITEMS;
  error: unknown;
  retry: () => void;
  /** Whether the page has shown the item before. */
  wasShown: boolean;
}

/** The page of one item while it is loaded, and if it cannot be shown: why, and what the user can do next. */
export function ItemPlaceholder({ item, error, retry, wasShown }: ItemProps) {
  const { noun, to, list } = ITEMS[item];
  usePageTitle(capitalize(noun));
  if (isNotFound(error)) return wasShown ? <DeletedItem item={item} /> : <MissingItem item={item} />;
  return (
    <>
      <nav aria-label="Breadcrumb" className="text-[0.8125rem] text-faint">
        <Link to={to} className="hover:underline">
          {capitalize(list)}
        </Link>
      </nav>
      <PageTitle className="mb-4">{capitalize(noun)}</PageTitle>
      {error ? <ErrorNotice error={error} retry={retry} /> : <Skeletons />}
    </>
  );
}

/** The item does not exist. */
export function MissingItem({ item, isPage = true }: Pick<ItemProps, "item"> & { isPage?: boolean }) {
  return (
    <EmptyState
      title={`This ${ITEMS[item].noun} does not exist`}
      isPage={isPage}
      action={<ListLink item={item} />}
    >
      It was deleted, belongs to another organization, or the address is wrong.
    </EmptyState>
  );
}

/** The item was deleted while its page was open. The page replaces what the user was looking at, so it is announced. */
function DeletedItem({ item }: Pick<ItemProps, "item">) {
  return (
    <div role="alert">
      <EmptyState title={`This ${ITEMS[item].noun} was deleted`} isPage action={<ListLink item={item} />}>
        It was deleted while this page was open, or you no longer have access to it.
      </EmptyState>
    </div>
  );
}

function ListLink({ item }: Pick<ItemProps, "item">) {
  const { to, list } = ITEMS[item];
  return (
    <Link to={to} className={buttonClasses("primary")}>
      Go to {list}
    </Link>
  );
}

function capitalize(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

interface RouteErrorProps {
  error: unknown;
  reset: () => void;
}

/** Replaces a page that has thrown an error, or whose code could not be loaded. */
export function RouteErrorPage({ error, reset }: RouteErrorProps) {
  const router = useRouter();
  usePageTitle("Error");
  return (
    <div className="mx-auto grid max-w-2xl gap-4 p-6">
      <PageTitle>This page cannot be shown</PageTitle>
      {error instanceof CodeNotLoaded ? (
        <CodeNotLoadedNotice />
      ) : (
        <ErrorNotice
          error={error}
          retry={() => {
            reset();
            void router.invalidate();
          }}
        />
      )}
    </div>
  );
}

/** Like `RouteErrorPage`, for an error because of which there is no navigation either. */
export function AppErrorPage(props: RouteErrorProps) {
  return (
    <main>
      <RouteErrorPage {...props} />
    </main>
  );
}
