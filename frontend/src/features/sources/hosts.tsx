import type { ReactNode } from "react";

/** The hosts that a version of the code may connect to after a user has approved it. */
export function Hosts({ hosts, children }: { hosts: string[]; children?: ReactNode }) {
  if (hosts.length === 0) return <p className="text-soft">No network access.</p>;
  return (
    <ul className="flex flex-wrap gap-1.5">
      {hosts.map((host) => (
        <li
          key={host}
          className={
            host === "*"
              ? "rounded-control bg-bad-wash px-1.5 text-bad"
              : "rounded-control bg-hover px-1.5 font-mono text-[0.8125rem]"
          }
        >
          {hostInWords(host)}
        </li>
      ))}
      {children}
    </ul>
  );
}

function hostInWords(host: string): string {
  if (host === "*") return "any host";
  const setting = /^\{(\w+)\}$/.exec(host);
  return setting ? `the host in the setting ${setting[1]}` : host;
}
