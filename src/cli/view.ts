/** What a command that looks found: an object for machines, and the same as text for people. */
export interface View {
  readonly found: object;
  readonly text: string;
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** One line a field; what has parts is shown as JSON. */
export function fields(found: Readonly<Record<string, unknown>>): string {
  return Object.entries(found)
    .map(([name, value]) => `${name.padEnd(14)} ${typeof value === 'object' ? JSON.stringify(value) : value}`)
    .join('\n');
}
