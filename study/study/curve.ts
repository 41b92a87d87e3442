/** FID of one run at its marks, by step. */
export interface Point {
  readonly step: number;
  readonly fid: number;
}

/** Between two marks on the straight line; null before the first and after the last. */
export function fidAt(curve: readonly Point[], step: number): number | null {
  const after = curve.findIndex((point) => point.step >= step);
  if (after === -1) return null;
  const [a, b] = [curve[after - 1], curve[after]!];
  if (b.step === step) return b.fid;
  return a === undefined ? null : a.fid + ((b.fid - a.fid) * (step - a.step)) / (b.step - a.step);
}

/** The first step at which the line through the marks is down at `target`; null where it never is. At the first mark: that one. */
export function stepsToReach(curve: readonly Point[], target: number): number | null {
  const at = curve.findIndex(({ fid }) => fid <= target);
  if (at === -1) return null;
  const [a, b] = [curve[at - 1], curve[at]!];
  return a === undefined ? b.step : a.step + ((b.step - a.step) * (a.fid - target)) / (a.fid - b.fid);
}
