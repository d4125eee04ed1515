import type { NetworkPlace } from "@/api/types";
import { formatBytes, countWithNoun } from "@/format/number";

/** The hosts that were connected to, and the refused connections. */
export function NetworkTable({ hosts }: { hosts: NetworkPlace[] }) {
  return (
    <ul className="grid gap-1.5 text-[0.8125rem]">
      {hosts.map(({ host, port, refused, connections, sent, received }) => (
        <li key={`${host}:${port}:${refused}`} className="grid">
          <span className="font-mono break-all">
            {host}:{port}
          </span>
          {refused ? (
            <span className="text-bad">Refused: {refused}</span>
          ) : (
            <span className="text-faint">
              {countWithNoun(connections, "connection")}
              {sent + received > 0 && `, ${formatBytes(sent)} sent, ${formatBytes(received)} received`}
            </span>
          )}
        </li>
      ))}
    </ul>
  );
}
