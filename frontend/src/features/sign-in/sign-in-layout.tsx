import type { ReactNode } from "react";
import { usePageTitle } from "@/components/page";
import logo from "@/logo.svg";

/** The layout of the pages for users who are not logged in. */
export function SignInLayout({
  title,
  children,
  footer,
}: {
  title: string;
  children: ReactNode;
  footer: ReactNode;
}) {
  usePageTitle(title);
  return (
    <main className="grid min-h-dvh place-items-center px-4 py-10">
      <div className="w-full max-w-[23rem]">
        <div className="mb-6 flex items-center gap-3">
          <img src={logo} alt="" width="36" height="36" />
          <div>
            <p className="text-lg leading-tight font-semibold">Drover</p>
            <p className="text-[0.8125rem] text-faint">Copy data from sources to destinations.</p>
          </div>
        </div>
        <div className="card p-6">
          <h1 className="mb-4 text-lg font-semibold">{title}</h1>
          {children}
        </div>
        <p className="mt-4 text-center text-soft">{footer}</p>
      </div>
    </main>
  );
}
