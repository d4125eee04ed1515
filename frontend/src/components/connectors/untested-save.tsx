import { Button } from "@/components/button";
import type { useTestedSave } from "./use-tested-save";

/** Offers to save settings that have not passed a test, and says what that means. */
export function UntestedSave({ waiting }: Pick<ReturnType<typeof useTestedSave>, "waiting">) {
  if (waiting === null) return null;
  if (waiting.state === "testing")
    return (
      <div role="status" className="flex flex-wrap items-center gap-x-3 gap-y-2 text-soft">
        <span>Testing the connection before it is saved…</span>
        <Button size="small" onClick={waiting.saveAnyway}>
          Save without testing
        </Button>
      </div>
    );
  return (
    <div
      role="alert"
      className="flex flex-wrap items-center gap-x-3 gap-y-2 rounded-card border border-line bg-wait-wash px-3 py-2.5"
    >
      <p className="min-w-60 flex-1">
        <span className="font-medium">The test failed, so nothing is saved yet.</span> Correct the settings
        and save again, or save them as they are: the connector is then marked as not tested, and its runs may
        fail.
      </p>
      <Button onClick={waiting.saveAnyway}>Save anyway</Button>
    </div>
  );
}
