/** When the result of a run is published. Both are stored with the stream. */
export interface Limits {
  allowEmpty: boolean;
  /** Of the records read, from 0 to 1. */
  maxRejectedShare: number;
}

export const STRICT_LIMITS: Limits = { allowEmpty: false, maxRejectedShare: 0 };

interface StreamLimits {
  allow_empty?: boolean;
  max_rejected_share?: number;
}

export function limitsOf(stream: StreamLimits | undefined): Limits {
  return {
    allowEmpty: stream?.allow_empty ?? false,
    maxRejectedShare: stream?.max_rejected_share ?? 0,
  };
}

/** Returns the limits as the fields of the stream that the API accepts. */
export function streamLimits({ allowEmpty, maxRejectedShare }: Limits) {
  return { allow_empty: allowEmpty, max_rejected_share: maxRejectedShare };
}

/** 0.01 as 1. Rounded, because shares are not exact: 0.07 * 100 is 7.000000000000001. */
export function percentOf(share: number): number {
  return Math.round(share * 1e8) / 1e6;
}

/** The share of a percentage that was typed: 0.01 for "1". Values outside 0 to 100 become the nearest limit. */
export function shareOf(percent: string): number {
  const share = Math.round(Number(percent) * 1e6) / 1e8;
  return Number.isFinite(share) ? Math.min(1, Math.max(0, share)) : 0;
}
