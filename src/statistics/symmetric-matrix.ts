import { CholeskyDecomposition, EigenvalueDecomposition, Matrix } from 'ml-matrix';

/** The only file that knows the linear algebra library. Matrices are (n, n), row-major, in double precision. */

function asMatrix(data: Float64Array, rows: number, columns: number): Matrix {
  return new Matrix(Array.from({ length: rows }, (_, i) => data.subarray(i * columns, (i + 1) * columns)));
}

/** Eigenvalues, rising, and eigenvectors as the columns of (n, n). */
function eigen(matrix: Float64Array, n: number): { values: number[]; vectors: Matrix } {
  const found = new EigenvalueDecomposition(asMatrix(matrix, n, n), { assumeSymmetric: true });
  return { values: found.realEigenvalues, vectors: found.eigenvectorMatrix };
}

/** Eigenvalues of a symmetric matrix, rising. */
export function eigenvalues(matrix: Float64Array, n: number): number[] {
  return eigen(matrix, n).values;
}

/**
 * The symmetric square root of a positive semi-definite matrix: V sqrt(D) V^T. An eigenvalue below 0 is rounding and
 * counts as 0, so a singular covariance (fewer images than features) has a root too.
 */
export function squareRoot(matrix: Float64Array, n: number): Float64Array {
  const { values, vectors } = eigen(matrix, n);
  const scaled = new Float64Array(n * n); // V D^(1/4): its product with its own transpose is the root
  for (let j = 0; j < n; j++) {
    const root = Math.max(0, values[j]!) ** 0.25;
    for (let i = 0; i < n; i++) scaled[i * n + j] = vectors.get(i, j) * root;
  }
  return timesTransposed(scaled, scaled, n);
}

/** A B^T for (n, n) matrices: rows meet rows, so both are read in order. */
export function timesTransposed(a: Float64Array, b: Float64Array, n: number): Float64Array {
  const out = new Float64Array(n * n);
  const tile = 32;
  for (let first = 0; first < n; first += tile)
    for (let i = 0; i < n; i++)
      for (let j = first; j < Math.min(first + tile, n); j++) {
        let sum = 0;
        for (let k = 0, at = i * n, bt = j * n; k < n; k++) sum += a[at + k] * b[bt + k];
        out[i * n + j] = sum;
      }
  return out;
}

/** X of A X = B, A symmetric positive definite (n, n), B (n, columns). */
export function solvePositiveDefinite(a: Float64Array, n: number, b: Float64Array, columns: number): Float64Array {
  const solved = new CholeskyDecomposition(asMatrix(a, n, n)).solve(asMatrix(b, n, columns));
  return Float64Array.from(solved.to1DArray());
}
