import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { api, unwrap } from "@/api/client";
import { fieldMessages } from "@/api/problem";
import { queryKeys } from "@/api/query-keys";
import type { VerifiedDomain } from "@/api/types";
import { Button } from "@/components/button";
import { DestroyDialog } from "@/components/destroy-dialog";
import { TextField } from "@/components/field";
import { EmptyState, ErrorNotice } from "@/components/notice";
import { showError, showSuccess } from "@/components/toast";
import { QueryContent, Section } from "@/components/section";

/** E-mail domains that are verified with a TXT record, and a form to add one. */
export function EmailDomains() {
  const client = useQueryClient();
  const invalidate = () => client.invalidateQueries({ queryKey: queryKeys.emailDomains });
  const domains = useQuery({
    queryKey: queryKeys.emailDomains,
    queryFn: () => unwrap(api.GET("/api/v1/org/verified-domains")),
  });
  const add = useMutation({
    mutationFn: (domain: string) => unwrap(api.POST("/api/v1/org/verified-domains", { body: { domain } })),
    onSettled: invalidate,
  });
  const check = useMutation({
    mutationFn: (id: string) =>
      unwrap(api.POST("/api/v1/org/verified-domains/{id}/check", { params: { path: { id } } })),
    onSettled: invalidate,
    onError: (error) => showError(error),
  });
  const [removed, setRemoved] = useState<{ id: string; domain: string } | null>(null);
  const remove = useMutation({
    mutationFn: ({ id }: { id: string }) =>
      unwrap(api.DELETE("/api/v1/org/verified-domains/{id}", { params: { path: { id } } })),
    onSuccess: () => showSuccess("Domain removed. Existing members keep their access."),
    onSettled: invalidate,
  });
  const messages = fieldMessages(add.error);

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = event.currentTarget;
    add.mutate(String(new FormData(form).get("domain")).trim(), { onSuccess: () => form.reset() });
  }

  return (
    <Section
      title="Verified e-mail domains"
      description="People with an address in a verified domain join through single sign-on without confirming by e-mail first. Verify a domain with a DNS TXT record, and keep the record in place."
    >
      <QueryContent query={domains}>
        {({ domains: rows }) =>
          rows.length === 0 ? (
            <EmptyState title="No verified domains yet">
              Everyone confirms by e-mail before joining.
            </EmptyState>
          ) : (
            <ul className="mb-4 grid gap-4">
              {rows.map(({ id, domain, record_name, record_value, ...row }) => (
                <li key={id} className="grid gap-2">
                  <div className="flex flex-wrap items-center gap-2">
                    <strong className="font-medium">{domain}</strong>
                    <span className={verificationState(row) === "Verified" ? "text-good" : "text-bad"}>
                      {verificationState(row)}
                    </span>
                    <Button onClick={() => check.mutate(id)} aria-label={`Verify ${domain}`}>
                      {check.isPending && check.variables === id ? "Verifying…" : "Verify"}
                    </Button>
                    <Button
                      look="danger"
                      onClick={() => setRemoved({ id, domain })}
                      aria-label={`Remove ${domain}`}
                    >
                      Remove
                    </Button>
                  </div>
                  <dl className="grid gap-1 text-[0.8125rem]">
                    <div>
                      <dt className="text-faint">TXT record name</dt>
                      <dd className="font-mono break-all select-all">{record_name}</dd>
                    </div>
                    <div>
                      <dt className="text-faint">Value</dt>
                      <dd className="font-mono break-all select-all">{record_value}</dd>
                    </div>
                  </dl>
                  {check.data?.domain.id === id && (
                    <p role="status" className={check.data.ok ? "text-good" : "text-bad"}>
                      {check.data.message}
                    </p>
                  )}
                </li>
              ))}
            </ul>
          )
        }
      </QueryContent>
      <DestroyDialog
        target={removed}
        nameOf={({ domain }) => domain}
        verb="Remove"
        destruction={remove}
        onClose={() => setRemoved(null)}
      >
        New people with its addresses have to confirm by e-mail. Existing members keep their access.
      </DestroyDialog>
      <form onSubmit={submit} className="grid max-w-md gap-3">
        {add.error && Object.keys(messages).length === 0 && <ErrorNotice error={add.error} />}
        <TextField
          label="Add an e-mail domain"
          name="domain"
          required
          placeholder="example.com"
          error={messages.domain}
          action={<Button type="submit">{add.isPending ? "Adding…" : "Add"}</Button>}
        />
      </form>
    </Section>
  );
}

type Verification = Pick<VerifiedDomain, "verified_at" | "missing_since" | "unanswered_since">;

function verificationState({ verified_at, missing_since, unanswered_since }: Verification): string {
  if (!verified_at) return "Not verified";
  if (missing_since) return "Verified, but the TXT record is missing";
  if (unanswered_since) return "Verified, but the name servers do not respond";
  return "Verified";
}
