import { Component, useEffect, useState, type ReactNode } from "react";
import { CodeNotLoaded, findLoadFailure, reloadOnce, type LoadFailure } from "./lazy-code";
import { Notice } from "./notice";

const NEXT_STEPS: Record<LoadFailure, string> = {
  offline: "The server cannot be reached. Check your network connection, then reload the page.",
  "new-release": "Drover was updated. Reload the page to use the new version.",
  unknown: "Reload the page. If the error persists, contact the operator of this Drover installation.",
};

const reload = () => globalThis.location.reload();

/** Says why the code of a page could not be loaded. After an update of Drover it reloads the page once by itself. */
export function CodeNotLoadedNotice() {
  const [failure, setFailure] = useState<LoadFailure | null>(null);
  useEffect(() => {
    let isShown = true;
    void findLoadFailure().then((found) => {
      if (!isShown) return;
      if (found !== "new-release" || !reloadOnce(reload)) setFailure(found);
    });
    return () => {
      isShown = false;
    };
  }, []);
  return (
    <Notice
      title="This page could not be loaded."
      nextStep={failure && NEXT_STEPS[failure]}
      retry={reload}
      retryLabel="Reload"
    />
  );
}

interface Props {
  /** Shown instead of the children if their code could not be loaded. */
  fallback: ReactNode;
  children: ReactNode;
}

/** Keeps a page usable if the code of one of its parts could not be loaded. */
export class CodeBoundary extends Component<Props, { hasFailed: boolean }> {
  override state = { hasFailed: false };

  static getDerivedStateFromError(error: unknown) {
    if (error instanceof CodeNotLoaded) return { hasFailed: true };
    throw error;
  }

  override render() {
    return this.state.hasFailed ? this.props.fallback : this.props.children;
  }
}
