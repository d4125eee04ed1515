import type { ApiKey } from "@/api/types";
import { Button } from "@/components/button";
import { useNow } from "@/components/clock";
import { Name } from "@/components/name";
import { RelativeTime } from "@/components/relative-time";
import { STACKED_ROW, STACKED_TABLE } from "@/components/stacked-table";
import { countWithNoun } from "@/format/number";
import { isOfService, keyState, STATE_WORDS } from "./key-filter";

interface Props {
  keys: ApiKey[];
  onAsk: (action: "rotate" | "revoke", key: ApiKey) => void;
}

export function KeysTable({ keys, onAsk }: Props) {
  return (
    <div className="relative overflow-x-auto">
      <table className={`table w-full border-collapse ${STACKED_TABLE}`}>
        <thead>
          <tr>
            <th scope="col">Key</th>
            <th scope="col">Role</th>
            <th scope="col" className="max-sm:hidden">
              Last used
            </th>
            <th scope="col" className="max-md:hidden">
              Expires
            </th>
            <th scope="col">
              <span className="sr-only">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {keys.map((key) => (
            <KeyRow key={key.id} apiKey={key} onAsk={onAsk} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function KeyRow({ apiKey, onAsk }: { apiKey: ApiKey } & Pick<Props, "onAsk">) {
  const state = keyState(apiKey, useNow());
  const isRevoked = apiKey.revoked_at !== null;
  return (
    <tr className={STACKED_ROW}>
      <td className="wrap-anywhere max-sm:w-full">
        <p className="font-medium">
          <Name>{apiKey.name}</Name>
        </p>
        <p className="text-[0.8125rem] text-faint">
          <code>drv_{apiKey.prefix}_…</code>
          {isOfService(apiKey) ? ", of a service account" : `, by ${apiKey.created_by.email}`}
        </p>
        {!isRevoked && state !== "ok" && (
          <p className={state === "unused" ? "text-[0.8125rem] text-soft" : "text-[0.8125rem] text-wait"}>
            <Expiry apiKey={apiKey} state={state} />
            {STATE_WORDS[state]}
          </p>
        )}
      </td>
      <td>
        {apiKey.role}
        {apiKey.scopes.length > 0 && (
          <p className="text-[0.8125rem] text-faint" title={apiKey.scopes.join(", ")}>
            {countWithNoun(apiKey.scopes.length, "permission")} of it
          </p>
        )}
      </td>
      <td className="text-soft max-sm:hidden">
        <RelativeTime time={apiKey.last_used_at} fallback="Never" />
      </td>
      <td className="text-soft max-md:hidden">
        <RelativeTime time={apiKey.expires_at} fallback="Never" />
      </td>
      <td>
        {isRevoked ? (
          <span className="text-faint">
            Revoked <RelativeTime time={apiKey.revoked_at} />
          </span>
        ) : (
          <div className="flex justify-end gap-2 ">
            {state !== "expired" && (
              <Button size="small" onClick={() => onAsk("rotate", apiKey)}>
                Rotate<span className="sr-only"> {apiKey.name}</span>
              </Button>
            )}
            <Button size="small" look="danger" onClick={() => onAsk("revoke", apiKey)}>
              Revoke<span className="sr-only"> {apiKey.name}</span>
            </Button>
          </div>
        )}
      </td>
    </tr>
  );
}

/** When the key has expired or will expire, before the words about what happens then. */
function Expiry({ apiKey, state }: { apiKey: ApiKey; state: string }) {
  if (state === "unused") return null;
  return (
    <>
      {state === "expired" ? "Expired" : "Expires"} <RelativeTime time={apiKey.expires_at} />.{" "}
    </>
  );
}
