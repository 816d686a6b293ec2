/** An error as the one line that scripts rely on; `verbose`: and its stack. */
export function printError({ code, message, error }: { code: string; message: string; error: unknown }, verbose: boolean): void {
  process.stderr.write(`unshake: ${code}: ${message}\n`);
  if (verbose && error instanceof Error) process.stderr.write(`${error.stack}\n`);
}
