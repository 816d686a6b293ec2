/** The command that is running, as one would type it: reports print it. */
export function commandText(): string {
  const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);
  return ['unshake', ...process.argv.slice(2).map(quoted)].join(' ');
}
