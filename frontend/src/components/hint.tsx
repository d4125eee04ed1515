import { Tooltip } from "radix-ui";
import { useState, type ReactElement } from "react";

const DELAY = 250; // milliseconds of rest before it opens for a mouse; the keyboard's focus opens it at once

/** Explains its child on hover and focus; with no text it does nothing. */
export function Hint({ text, children }: { text: string | null; children: ReactElement }) {
  const [open, setOpen] = useState(false);
  return (
    <Tooltip.Provider delayDuration={DELAY}>
      <Tooltip.Root open={open && text !== null} onOpenChange={setOpen}>
        <Tooltip.Trigger asChild>{children}</Tooltip.Trigger>
        <Tooltip.Portal>
          <Tooltip.Content
            sideOffset={6}
            collisionPadding={8}
            className="z-40 max-w-64 animate-rise rounded-control bg-primary px-2.5 py-1.5 text-[0.8125rem] text-on-primary shadow-float"
          >
            {text}
          </Tooltip.Content>
        </Tooltip.Portal>
      </Tooltip.Root>
    </Tooltip.Provider>
  );
}
