export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const textOf = (value: Uint8Array | null): string | null =>
  value === null ? null : new TextDecoder().decode(value);
