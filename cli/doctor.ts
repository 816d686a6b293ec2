/** `unshake doctor`: what is installed, what is missing, how to get it. */
import type { Command } from 'commander';
import { diagnose } from '../src/doctor.js';

export function registerDoctor(root: Command): void {
  root.command('doctor')
    .description('say what is installed, what is missing, and how to get it')
    .option('--json', 'print one JSON document')
    .action(doctor);
}

async function doctor(flags: { json?: boolean }): Promise<void> {
  const diagnosis = await diagnose();
  if (flags.json) {
    process.stdout.write(`${JSON.stringify(diagnosis)}\n`);
    return;
  }
  const { unshake, node, platform, cpu, sharp, findings } = diagnosis;
  const lines = [
    `unshake ${unshake}, Node ${node}, ${platform}`,
    `CPU: ${cpu.model}, ${cpu.threads} threads, ${cpu.memoryGiB} GiB, ${cpu.instructions.join(' ') || 'instructions not listed by this system'}`,
    `sharp ${sharp.version} (libvips ${sharp.libvips})`,
    '',
    ...findings.flatMap(({ name, ok, found, cure }) => [`${ok ? '✓' : '–'} ${name}: ${found}`, ...(cure ? [`    ${cure}`] : [])]),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}
