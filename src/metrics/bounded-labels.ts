/** Which label values a metric takes. Bounds its series: names come from outside (topics, loss terms), memory does not. */
export interface BoundedLabels {
  /** True for every value seen among the first `limit` distinct ones, for good; false for all others. */
  admits(value: string): boolean;
}

export function boundedLabels(limit: number): BoundedLabels {
  const seen = new Set<string>();
  return {
    admits(value) {
      if (seen.has(value)) return true;
      if (seen.size === limit) return false;
      seen.add(value);
      return true;
    },
  };
}
