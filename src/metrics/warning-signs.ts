/**
 * Where repulsion has gone wrong though no loss shows it: the batch escapes from its negatives together, to one point
 * (pair distance near 0) or to the other side of the sphere (shift near 4). The progress display, the dashboard and
 * prometheus/rules.yml draw the line at the same place.
 */
export const WARNING_SIGNS = {
  /** Pair distance below this is collapse; 2 is an even spread. */
  collapse: 0.05,
  /** A shift above this is flight; 4 is the opposite point. */
  flight: 3,
  /** A stream's shift above this is a change of what it brings; 1 is chance. */
  change: 10,
} as const;

export function hasCollapsed(repulsion: { readonly pairDistance: number }): boolean {
  return repulsion.pairDistance < WARNING_SIGNS.collapse;
}

export function hasFled(repulsion: { readonly shift: number }): boolean {
  return repulsion.shift > WARNING_SIGNS.flight;
}
