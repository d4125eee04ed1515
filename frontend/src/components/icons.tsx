import type { ReactNode, SVGProps } from "react";

/** Creates a line icon of 16 px. Screen readers ignore it. */
function createIcon(name: string, drawing: ReactNode) {
  function Icon(props: SVGProps<SVGSVGElement>) {
    return (
      <svg
        width="16"
        height="16"
        viewBox="0 0 16 16"
        fill="none"
        stroke="currentColor"
        strokeWidth="1.5"
        strokeLinecap="round"
        strokeLinejoin="round"
        aria-hidden="true"
        {...props}
      >
        {drawing}
      </svg>
    );
  }
  Icon.displayName = name;
  return Icon;
}

export const PlayIcon = createIcon("PlayIcon", <path d="M5 3.2v9.6l7.6-4.8z" />);
export const MenuIcon = createIcon("MenuIcon", <path d="M2.5 4.5h11m-11 3.5h11m-11 3.5h11" />);
export const PlusIcon = createIcon("PlusIcon", <path d="M8 3v10M3 8h10" />);
export const SearchIcon = createIcon(
  "SearchIcon",
  <>
    <circle cx="7" cy="7" r="4.2" />
    <path d="m10.2 10.2 3.3 3.3" />
  </>,
);
export const ArrowIcon = createIcon("ArrowIcon", <path d="M2.5 8h11m-3.6-3.6L13.5 8l-3.6 3.6" />);
export const ChevronIcon = createIcon("ChevronIcon", <path d="m4.5 6.3 3.5 3.5 3.5-3.5" />);
export const CheckIcon = createIcon("CheckIcon", <path d="m3.2 8.4 3.2 3.2 6.4-7" />);
export const CrossIcon = createIcon("CrossIcon", <path d="m4 4 8 8m0-8-8 8" />);
export const ClockIcon = createIcon(
  "ClockIcon",
  <>
    <circle cx="8" cy="8" r="5.6" />
    <path d="M8 4.8V8l2.2 1.5" />
  </>,
);
export const WarningIcon = createIcon("WarningIcon", <path d="M8 2.6 14 13H2zM8 6.6v3m0 1.7v.1" />);
export const DownloadIcon = createIcon("DownloadIcon", <path d="M8 2.5v7.4M4.9 7 8 10l3.1-3M3 13.2h10" />);
export const OverviewIcon = createIcon(
  "OverviewIcon",
  <path d="M2.5 2.5h4.6v6H2.5zm6.4 0h4.6v3.2H8.9zm0 5h4.6v6H8.9zm-6.4 2.8h4.6v3.2H2.5z" />,
);
export const PipelineIcon = createIcon(
  "PipelineIcon",
  <path d="M2 4h2.6c3 0 3 4 5.6 4M2 12h2.6c3 0 3-4 5.6-4M2 8h12m-2.4-2.4L14 8l-2.4 2.4" />,
);
export const RunsIcon = createIcon("RunsIcon", <path d="M2.2 8h2.6l1.8-4.6 3 9.2L11.4 8h2.4" />);
export const UserIcon = createIcon(
  "UserIcon",
  <>
    <circle cx="8" cy="5.4" r="2.6" />
    <path d="M3 13.4c.6-2.6 2.6-3.8 5-3.8s4.4 1.2 5 3.8" />
  </>,
);
export const SunIcon = createIcon(
  "SunIcon",
  <>
    <circle cx="8" cy="8" r="2.7" />
    <path d="M8 1.8v1.4m0 9.6v1.4M1.8 8h1.4m9.6 0h1.4M3.6 3.6l1 1m6.8 6.8 1 1m0-8.8-1 1M4.6 11.4l-1 1" />
  </>,
);
export const MoonIcon = createIcon(
  "MoonIcon",
  <path d="M13.2 9.6A5.6 5.6 0 0 1 6.4 2.8a5.6 5.6 0 1 0 6.8 6.8z" />,
);
export const ScreenIcon = createIcon("ScreenIcon", <path d="M2.2 3.2h11.6v7.4H2.2zM6 13.2h4M8 10.6v2.6" />);
export const StopIcon = createIcon("StopIcon", <rect x="4" y="4" width="8" height="8" rx="1.4" />);
export const RetryIcon = createIcon("RetryIcon", <path d="M13 8a5 5 0 1 1-1.6-3.7M13 2.4v2.8h-2.8" />);
export const DownIcon = createIcon("DownIcon", <path d="M8 3v9.6M4.2 9 8 12.8 11.8 9" />);
export const BuildingIcon = createIcon(
  "BuildingIcon",
  <path d="M3 13.4V3h6v10.4M9 6.4h4v7M1.8 13.4h12.4M5.2 5.6h1.6m-1.6 2.6h1.6m-1.6 2.6h1.6" />,
);
export const LockIcon = createIcon(
  "LockIcon",
  <path d="M4 7.2h8v6H4zM5.6 7.2V5.1a2.4 2.4 0 0 1 4.8 0v2.1" />,
);
export const AgentIcon = createIcon(
  "AgentIcon",
  <path d="M8 1.8c.5 3.5 2.2 5.2 5.7 5.7-3.5.5-5.2 2.2-5.7 5.7-.5-3.5-2.2-5.2-5.7-5.7 3.5-.5 5.2-2.2 5.7-5.7zM13 11.2v3m-1.5-1.5h3" />,
);
export const CopyIcon = createIcon("CopyIcon", <path d="M5.6 5.6h7.6v7.6H5.6zM10.4 5.4V2.8H2.8v7.6h2.6" />);
export const SendIcon = createIcon("SendIcon", <path d="M8 13V3.2M3.8 7.2 8 3l4.2 4.2" />);
export const ConnectorIcon = createIcon(
  "ConnectorIcon",
  <path d="M5.4 2.4v3.2m5.2-3.2v3.2M3.6 5.6h8.8v2.2a4.4 4.4 0 0 1-8.8 0zM8 12.2v1.6" />,
);
export const CodeIcon = createIcon(
  "CodeIcon",
  <path d="M5.2 4.4 1.8 8l3.4 3.6m5.6-7.2L14.2 8l-3.4 3.6M9.2 3.2 6.8 12.8" />,
);
export const BellIcon = createIcon(
  "BellIcon",
  <path d="M3.2 11.4h9.6c-1-1-1.3-2-1.3-4.4a3.5 3.5 0 0 0-7 0c0 2.4-.3 3.4-1.3 4.4zM6.6 13.6h2.8M8 3.5V2.2" />,
);
export const FileIcon = createIcon("FileIcon", <path d="M9 2H4v12h8V5zM9 2v3h3M6.2 8.4h3.6m-3.6 2.6h3.6" />);
export const UploadIcon = createIcon("UploadIcon", <path d="M8 10V2.6M4.9 5.5 8 2.5l3.1 3M3 13.2h10" />);
