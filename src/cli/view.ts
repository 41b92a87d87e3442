/** What a command that looks found: an object for machines, and the same as text for people. */
export interface View {
  readonly found: object;
  readonly text: string;
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** One line a field. */
export function fields(shown: Readonly<Record<string, string | number>>): string {
  return Object.entries(shown)
    .map(([name, value]) => `${name.padEnd(14)} ${value}`)
    .join('\n');
}
