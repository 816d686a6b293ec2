/** The command line: one file a command; this one joins them and turns errors into one line and an exit code. */
import { setImmediate } from 'node:timers/promises';
import { Command, CommanderError } from 'commander';
import { UnshakeError, messageOf } from '../src/errors.js';
import { version } from '../src/version.js';
import { registerCompare } from './compare.js';
import { registerData } from './data.js';
import { registerDeblur } from './deblur.js';
import { registerDoctor } from './doctor.js';
import { registerEvaluate } from './evaluate.js';
import { registerExperiments } from './experiments.js';
import { registerExport } from './export.js';
import { printError } from './print-error.js';
import { registerReport } from './report.js';
import { registerTrain } from './train.js';
import { registerWeights } from './weights.js';

function program(): Command {
  const root = new Command('unshake')
    .description('Removes motion blur from photographs, and trains the networks that do it.')
    .version(version)
    .option('--verbose', 'print stacks of errors')
    .exitOverride()
    .configureOutput({ outputError: () => {} }); // main() prints the one line
  registerCompare(root);
  registerData(root);
  registerDeblur(root);
  registerDoctor(root);
  registerEvaluate(root);
  registerExperiments(root);
  registerExport(root);
  registerReport(root);
  registerTrain(root);
  registerWeights(root);
  return root;
}

/** Runs one command. Returns the exit code: 0 done, 1 failed, 2 wrong usage. */
export async function main(args: string[]): Promise<number> {
  let fault: unknown;
  // A reader that has seen enough (unshake … | head) ends the printing, not the work.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => { if (error.code !== 'EPIPE') fault = error; });
  process.stderr.on('error', () => {}); // nobody is left to be told
  const code = await run(args);
  await setImmediate(); // a write that has failed says so a little later
  if (code !== 0 || fault === undefined) return code;
  process.stderr.write(`unshake: OUTPUT: the standard output can't be written (${messageOf(fault)})\n`);
  return 1;
}

async function run(args: string[]): Promise<number> {
  const verbose = args.includes('--verbose');
  try {
    await program().parseAsync([...(verbose ? ['--verbose'] : []), ...args.filter((arg) => arg !== '--verbose')], { from: 'user' }); // wherever it stands
    return process.exitCode === undefined ? 0 : Number(process.exitCode);
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0; // --help, --version
      if (error.code === 'commander.help') return 2; // a group without its subcommand: commander has printed the help
      process.stderr.write(`unshake: USAGE: ${messageOf(error).replace(/^error: /, '')} (unshake --help lists the commands)\n`);
      return 2;
    }
    const code = error instanceof UnshakeError ? error.code : 'INTERNAL';
    printError({ code, message: messageOf(error), error }, verbose);
    return code === 'USAGE' ? 2 : 1;
  }
}
