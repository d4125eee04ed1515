import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { AlertDelivery } from "@/api/types";
import { Button } from "@/components/button";
import { CopyButton } from "@/components/copy-button";
import { Dialog } from "@/components/dialog";
import { Name } from "@/components/name";
import { ErrorNotice, Skeletons } from "@/components/notice";
import { RelativeTime } from "@/components/relative-time";
import { useReadOnlyReason } from "@/session/use-session";
import { EventWords } from "./event-words";
import { DeliveryState, Outcome } from "./outcome";
import { deliveryQuery } from "./queries";
import { ReplayButton } from "./replay-button";
import { pageOf, SUBJECT_WORDS } from "./subject";

interface Props {
  id: string;
  onClose: () => void;
}

/** One delivery with its event as the channel gets it. */
export function DeliveryDialog({ id, onClose }: Props) {
  const { data: delivery, error, refetch } = useQuery(deliveryQuery(id));
  const isReadOnly = useReadOnlyReason() !== null;
  return (
    <Dialog
      width="w-3xl"
      onClose={onClose}
      title={delivery ? <EventWords event={delivery.event} /> : "Delivery"}
    >
      {!delivery && !error && <Skeletons rows={3} />}
      {!delivery && error && <ErrorNotice error={error} retry={() => void refetch()} />}
      {delivery && <Content delivery={delivery} />}
      <div className="flex flex-wrap justify-end gap-2">
        {delivery && !isReadOnly && <ReplayButton delivery={delivery} onSent={onClose} />}
        <Button look="primary" onClick={onClose}>
          Close
        </Button>
      </div>
    </Dialog>
  );
}

function Content({ delivery }: { delivery: AlertDelivery }) {
  const payload = JSON.stringify(delivery.event, null, 2);
  return (
    <>
      <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1.5 text-[0.8125rem]">
        <Fact title="State">
          <DeliveryState {...delivery} />
        </Fact>
        <Fact title="Channel">
          <Name>{delivery.channel.name}</Name>
        </Fact>
        <Fact title="Answer">
          <Outcome delivery={delivery} />
        </Fact>
        <Fact title="Attempts">{delivery.attempts}</Fact>
        <Fact title="Created">
          <RelativeTime time={delivery.created_at} />
        </Fact>
        <Fact title="Accepted">
          <RelativeTime time={delivery.sent_at} />
        </Fact>
        {delivery.next_attempt_at && (
          <Fact title="Next attempt">
            <RelativeTime time={delivery.next_attempt_at} />
          </Fact>
        )}
        <Links event={delivery.event} />
      </dl>
      <div>
        <div className="mb-1 flex items-center justify-between gap-2">
          <h3 className="text-[0.8125rem] font-medium">Event</h3>
          <CopyButton text={payload} className="h-7! text-xs!" />
        </div>
        <pre
          tabIndex={0}
          aria-label="Event as JSON"
          className="max-h-[40vh] overflow-auto rounded-card border border-line bg-page p-3 font-mono text-[0.78rem] break-all whitespace-pre-wrap"
        >
          {payload}
        </pre>
      </div>
    </>
  );
}

function Fact({ title, children }: { title: string; children: ReactNode }) {
  return (
    <>
      <dt className="whitespace-nowrap text-faint">{title}</dt>
      <dd className="min-w-0 wrap-anywhere">{children}</dd>
    </>
  );
}

function Links({ event: { subject, run } }: Pick<AlertDelivery, "event">) {
  return (
    <>
      {subject && (
        <Fact title={SUBJECT_WORDS[subject.kind]}>
          <Link {...pageOf(subject)} className="link">
            <Name>{subject.name}</Name>
          </Link>
        </Fact>
      )}
      {run && (
        <Fact title="Run">
          <Link to="/runs/$runId" params={{ runId: run.id }} className="link">
            Open the run
          </Link>
        </Fact>
      )}
    </>
  );
}
