/** Weight of the newest step in the fast and in the slow running mean: they reach back about 20 and 500 steps. */
const FAST = 1 / 20;
const SLOW = 1 / 500;
/** Steps before the first value: until the fast mean forgets, the two are the same. */
const WARM_UP = 2 / FAST;

/**
 * Whether what a stream brings has changed: the distance between a fast and a slow running mean of its features x_n (one vector
 * a step), in units of what chance alone gives.
 *
 *     m <- m + a_n (x_n - m),  a_n = max(alpha, 1/n)            for both means, alpha = 1/20 and 1/500
 *     v <- v + b_n ((x_n - s)^2 / (1 + S_ss) - v)               variance of x_n, about the slow mean s before this step
 *     T = mean over d of (f_d - s_d)^2 / (c v_d)                c = S_ff + S_ss - 2 S_fs
 *
 * f and s weight the steps; S_ff, S_ss and S_fs are the sums of the products of their weights, so that c v is the variance of f - s for
 * independent steps of one distribution: T is then about 1, whatever the features' scale, the batch or the step. Steps that
 * balance each other (an epoch's) give less. A change of the mean by k standard deviations of a step's mean gives up to some
 * k^2 / c = 42 k^2 for as long as the slow mean needs to follow. Features that never vary do not count.
 *
 * Numbers of the running process only: they begin anew at a restart, and no step depends on them.
 */
export class StreamShift {
  #steps = 0;
  #fast = new Float64Array();
  #slow = new Float64Array();
  #variance = new Float64Array();
  #ff = 0;
  #ss = 0;
  #fs = 0;

  /** T after one step more; null in the first 40. features: (D), the same D each time. */
  observe(features: Float64Array): number | null {
    const n = ++this.#steps;
    if (n === 1) {
      this.#fast = features.slice();
      this.#slow = features.slice();
      this.#variance = new Float64Array(features.length);
      [this.#ff, this.#ss, this.#fs] = [1, 1, 1];
      return null;
    }
    const [a, b, ofVariance] = [Math.max(FAST, 1 / n), Math.max(SLOW, 1 / n), Math.max(SLOW, 1 / (n - 1))];
    const spread = 1 + this.#ss;
    this.#ff = (1 - a) ** 2 * this.#ff + a ** 2;
    this.#ss = (1 - b) ** 2 * this.#ss + b ** 2;
    this.#fs = (1 - a) * (1 - b) * this.#fs + a * b;
    const c = this.#ff + this.#ss - 2 * this.#fs;
    let total = 0;
    let counted = 0;
    for (let d = 0; d < features.length; d++) {
      const off = features[d]! - this.#slow[d]!;
      this.#variance[d]! += ofVariance * (off ** 2 / spread - this.#variance[d]!);
      this.#fast[d]! += a * (features[d]! - this.#fast[d]!);
      this.#slow[d]! += b * off;
      if (this.#variance[d]! <= 1e-18) continue;
      total += (this.#fast[d]! - this.#slow[d]!) ** 2 / this.#variance[d]!;
      counted++;
    }
    if (n <= WARM_UP) return null;
    return counted === 0 ? 0 : total / counted / c;
  }
}
