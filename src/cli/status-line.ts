export interface StatusLine {
  note(text: string): void;
  status(text: string): void;
  end(): void;
}

/** Lines that stay, and on a terminal one below them that is written over. Silent for machines. */
export function statusLine(json: boolean): StatusLine {
  const { stderr } = process;
  const isTTY = !json && stderr.isTTY === true;
  let standing = '';
  const clear = () => (standing === '' ? '' : '\r\u001b[K');
  return {
    note(text) {
      if (!json) stderr.write(`${clear()}${text}\n${standing}`);
    },
    status(text) {
      if (!isTTY) return;
      const next = text.slice(0, (stderr.columns || 80) - 1);
      stderr.write(`${clear()}${next}`);
      standing = next;
    },
    end() {
      if (isTTY) stderr.write(clear());
      standing = '';
    },
  };
}
