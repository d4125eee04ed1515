import { isChangedMeanwhile } from "@/api/problem";
import { ErrorNotice } from "./notice";

interface Props {
  error: unknown;
  /** Whether the notice of a conflict is shown. It says more than this message. */
  hasConflict: boolean;
}

/** Why a change was not saved. After a 412 the page has fetched the object again, and shows both versions if they differ. */
export function SaveError({ error, hasConflict }: Props) {
  if (!isChangedMeanwhile(error)) return <ErrorNotice error={error} />;
  if (hasConflict) return null;
  return (
    <p role="alert" className="text-wait">
      Somebody else has saved other settings meanwhile. Your changes are kept: save again.
    </p>
  );
}
