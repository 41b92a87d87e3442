/** IEEE 754 binary16 bits -> the same value as a float32 (every half is one exactly). Filled at first use: 256 KiB. */
let values: Float32Array | null = null;

function table(): Float32Array {
  if (values !== null) return values;
  values = new Float32Array(0x10000);
  for (let bits = 0; bits < values.length; bits++) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 0x1f;
    const fraction = bits & 0x3ff;
    if (exponent === 0) values[bits] = sign * fraction * 2 ** -24;
    else if (exponent === 31) values[bits] = fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
    else values[bits] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return values;
}

/** Little-endian float16 bytes to float32. `bytes.length` is even. */
export function halvesToFloats(bytes: Uint8Array): Float32Array {
  const lookup = table();
  const floats = new Float32Array(bytes.length / 2);
  for (let i = 0; i < floats.length; i++) floats[i] = lookup[bytes[2 * i]! | (bytes[2 * i + 1]! << 8)]!;
  return floats;
}
