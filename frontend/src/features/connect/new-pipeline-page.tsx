import { PageHeader } from "@/components/page";

export function NewPipelinePage() {
  return (
    <div className="mx-auto max-w-4xl px-4 py-5 md:px-6">
      <PageHeader title="New pipeline" />
    </div>
  );
}
