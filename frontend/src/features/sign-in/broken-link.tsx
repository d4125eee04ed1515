import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { fieldMessages, ProblemError } from "@/api/problem";
import { SignInLayout } from "./sign-in-layout";

/** Whether the server has refused the secret of the link: it was used, has expired, or is not complete. */
export function isLinkRefused(error: unknown): boolean {
  return error instanceof ProblemError && (error.code === "link_spent" || "token" in fieldMessages(error));
}

/** The page for a mailed link that does not work. `children` is what the user can do. */
export function BrokenLinkPage({ title, children }: { title: string; children: ReactNode }) {
  return (
    <SignInLayout
      title={title}
      footer={
        <Link to="/" className="link">
          Open Drover
        </Link>
      }
    >
      <div role="alert" className="grid gap-2">
        <p>The link is not complete, was used already, or has expired.</p>
        {children}
      </div>
    </SignInLayout>
  );
}
