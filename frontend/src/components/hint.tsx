import { Tooltip } from "radix-ui";
import { useState, type ReactElement } from "react";

const HOVER_DELAY = 250; // milliseconds until the tooltip opens on hover; on keyboard focus it opens at once

/** Shows the text as a tooltip when its child is hovered or focused. Shows nothing if the text is null. */
export function Hint({ text, children }: { text: string | null; children: ReactElement }) {
  const [open, setOpen] = useState(false);
  return (
    <Tooltip.Provider delayDuration={HOVER_DELAY}>
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
