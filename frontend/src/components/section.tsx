import { useId, type ReactNode } from "react";
import { ErrorNotice, Skeletons } from "@/components/notice";

/** A titled section of a settings page. */
export function Section({
  title,
  description,
  action,
  children,
}: {
  title: string;
  description?: ReactNode;
  action?: ReactNode;
  children: ReactNode;
}) {
  const id = useId();
  return (
    <section aria-labelledby={id} className="card mb-5 p-5">
      <div className="mb-4 flex flex-wrap items-start justify-between gap-x-4 gap-y-2">
        <div className="max-w-[44rem]">
          <h2 id={id} className="text-base font-semibold">
            {title}
          </h2>
          {description && <p className="text-soft">{description}</p>}
        </div>
        {action}
      </div>
      {children}
    </section>
  );
}

/** Renders the data of a query, an error, or a placeholder while it loads. */
export function QueryContent<T>({
  query,
  children,
}: {
  query: { data: T | undefined; error: unknown; refetch: () => unknown };
  children: (data: T) => ReactNode;
}) {
  if (query.data !== undefined) return <>{children(query.data)}</>;
  if (query.error) return <ErrorNotice error={query.error} retry={() => void query.refetch()} />;
  return <Skeletons rows={3} />;
}

const ROLES = ["viewer", "member", "admin", "owner"] as const;
export type Role = (typeof ROLES)[number];

export function RoleSelect({
  label,
  value,
  highestRole,
  onChange,
  name,
}: {
  label: string;
  value?: Role;
  /** The highest role to offer. Users cannot grant a role above their own. */
  highestRole: Role;
  onChange?: (role: Role) => void;
  name?: string;
}) {
  const offeredRoles = ROLES.slice(0, ROLES.indexOf(highestRole) + 1);
  return (
    <select
      aria-label={label}
      name={name}
      className="control w-auto!"
      {...(onChange ? { value } : { defaultValue: value ?? "member" })}
      onChange={({ target }) => onChange?.(target.value as Role)}
    >
      {ROLES.filter((role) => offeredRoles.includes(role) || role === value).map((role) => (
        <option key={role}>{role}</option>
      ))}
    </select>
  );
}
