import { Fragment } from "react";

const TIME = /(?<![\w-])(\d{4}-\d{2}-\d{2}(?:[\u00a0 T]\d{2}:\d{2}(?::\d{2})?)?)(?![\w-])/;

/** A text of the server. No line breaks inside a date such as 2026-11-29 and the time after it. */
export function TextWithTimes({ text }: { text: string }) {
  return text.split(TIME).map((part, index) => (
    // Every second part is a time.
    <Fragment key={index}>
      {index % 2 === 1 ? <span className="whitespace-nowrap">{part}</span> : part}
    </Fragment>
  ));
}
