import { Switch } from "radix-ui";

interface Props {
  /** What is enabled, for screen readers. */
  of: string;
  isEnabled: boolean;
  onChange: (isEnabled: boolean) => void;
}

export function EnabledSwitch({ of, isEnabled, onChange }: Props) {
  return (
    <label className="flex items-center gap-2 text-[0.8125rem] text-soft">
      <Switch.Root
        checked={isEnabled}
        onCheckedChange={onChange}
        className="h-5 w-9 rounded-full bg-line-strong p-0.5 transition-colors data-[state=checked]:bg-good"
      >
        <Switch.Thumb className="block size-4 rounded-full bg-white transition-transform data-[state=checked]:translate-x-4" />
      </Switch.Root>
      <span className="max-sm:sr-only">Enabled</span>
      <span className="sr-only"> {of}</span>
    </label>
  );
}
