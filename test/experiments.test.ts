/** The experiments that are shipped, and how one YAML file extends another. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { parseConfig, type Config } from '../src/config.js';
import { ConfigError } from '../src/errors.js';
import { changeConfig, experimentNames, loadConfig } from '../src/experiment-file.js';
import { experimentsFolder } from '../src/paths.js';

const folder = mkdtempSync(join(tmpdir(), 'unshake-experiments-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const write = (name: string, text: string): string => { const path = join(folder, name); writeFileSync(path, text); return path; };

/** Dotted names of the settings in which two configurations differ. */
function differences(a: unknown, b: unknown, path = ''): string[] {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null || Array.isArray(a)) return JSON.stringify(a) === JSON.stringify(b) ? [] : [path.slice(1)];
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].flatMap((key) => differences((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key], `${path}.${key}`));
}

test('every shipped experiment reads, is named as its file, and is small', async () => {
  const names = experimentNames();
  for (const name of ['smoke', 'default', 'report-original', 'report-exp1-lpips', 'report-exp2-parallel', 'report-exp3-wgan', 'report-exp3-wgan-gp', 'report-exp4-diffaug', 'report-as-printed', 'dgf-paper']) assert.ok(names.includes(name), name);
  for (const name of names) {
    assert.equal((await loadConfig(name)).name, name);
    const lines = readFileSync(fileURLToPath(new URL(`${name}.yaml`, experimentsFolder)), 'utf8').trimEnd().split('\n');
    assert.ok(lines.length <= 30, `${name}: ${lines.length} lines`);
  }
});

test("the report's experiments differ from Experiment 1 in what they are about, and their files say nothing else", async () => {
  const first = await loadConfig('report-exp1-lpips');
  const expected: Record<string, string[]> = {
    'report-original': ['steps', 'batchSize', 'generator.norm', 'losses.perceptual.type', 'checkpointEvery', 'validateEvery'],
    'report-exp2-parallel': ['precision'],
    'report-exp3-wgan': ['losses.adversarial.type', 'losses.adversarial.criticSteps', 'optimizer.type', 'optimizer.lr', 'optimizer.betas'],
    'report-exp3-wgan-gp': ['losses.adversarial.type', 'losses.adversarial.criticSteps', 'optimizer.lr', 'optimizer.betas'],
    'report-exp4-diffaug': ['diffAugment'],
    'report-as-printed': ['losses.pixel.weight', 'losses.adversarial.type', 'losses.perceptual.type', 'losses.perceptual.weight'],
  };
  for (const [name, keys] of Object.entries(expected)) {
    const config = await loadConfig(name);
    assert.deepEqual(differences(first, config).filter((key) => key !== 'name').sort(), keys.filter((key) => name !== 'report-exp3-wgan' || key !== 'optimizer.betas').sort(), name);
    const file = parse(readFileSync(fileURLToPath(new URL(`${name}.yaml`, experimentsFolder)), 'utf8')) as Record<string, unknown>;
    assert.equal(file.extends, 'report-exp1-lpips');
  }
});

test("the paper's weights, optimizer and mixture", async () => {
  const { losses, optimizer, data, generator, discriminator } = await loadConfig('dgf-paper');
  assert.deepEqual([losses.perceptual?.weight, losses.pixel.weight, losses.adversarial.weight, optimizer.lr], [145, 170, 1, 3e-4]);
  assert.deepEqual(data.map(({ blur }) => blur), [undefined, 'shake']);
  assert.deepEqual([generator.type, discriminator?.type], ['dgf-paper', 'patch']);
});

test('extends: groups are merged, lists and values replaced, a group of another type starts anew, --set comes last', async () => {
  write('parent.yaml', 'steps: 7\ndata: [{ path: a }, { path: b }]\ngenerator: { type: dgf-report, rate: 8 }\noptimizer: { lr: 1e-3, betas: [0.1, 0.2] }\n');
  mkdirSync(join(folder, 'below'));
  const child = write('below/child 1.yaml', 'extends: ../parent.yaml\ndata: [{ path: c }]\noptimizer: { lr: 2e-3 }\n');
  const config: Config = await loadConfig(child, { set: ['optimizer.weightDecay=0.5'] });
  assert.equal(config.name, 'child-1');
  assert.equal(config.steps, 7);
  assert.deepEqual(config.data.map(({ path }) => path), ['c']);
  assert.deepEqual([config.optimizer.lr, config.optimizer.betas, config.optimizer.weightDecay], [2e-3, [0.1, 0.2], 0.5]);
  assert.deepEqual(config.generator, { type: 'dgf-report', rate: 8, norm: 'instance', range: 'signed' });
  const other = await loadConfig(write('other.yaml', 'extends: parent.yaml\ngenerator: { type: residual-unet }\n'));
  assert.deepEqual(other.generator, parseConfig({ generator: { type: 'residual-unet' } }, 'defaults').generator);
});

test('extends: a circle, a missing parent and a wrong value are refused by name', async () => {
  write('a.yaml', 'extends: b.yaml\n');
  write('b.yaml', 'extends: a.yaml\n');
  await assert.rejects(loadConfig(join(folder, 'a.yaml')), /a\.yaml: extends itself, by way of .*b\.yaml/);
  await assert.rejects(loadConfig(write('orphan.yaml', 'extends: nobody\n')), /nobody, which .*orphan\.yaml extends: no such experiment/);
  await assert.rejects(loadConfig(write('list.yaml', 'extends: [smoke]\n')), /list\.yaml: extends: expected the name of an experiment/);
});

test('--set: a group whose type changes starts anew; what is wrong is named, with a key that may stand there', async () => {
  const smoke = await loadConfig('smoke', { set: ['generator.type=residual-unet', 'generator.width=8'] });
  assert.deepEqual(smoke.generator, parseConfig({ generator: { type: 'residual-unet', width: 8 } }, 'defaults').generator);
  assert.deepEqual((await loadConfig('smoke', { set: ['generator.type=dgf-report'] })).generator, (await loadConfig('smoke')).generator, 'no change is none');
  for (const set of [['optimizer.lr=1e-4', 'optimizer.type=adamw'], ['optimizer.type=adamw', 'optimizer.lr=1e-4']]) {
    const { optimizer } = await loadConfig('smoke', { set });
    assert.deepEqual([optimizer.type, optimizer.lr], ['adamw', 1e-4], `a type that was only a default: in either order, ${set.join(' ')}`);
  }
  const refused = (set: string, message: RegExp) => assert.rejects(loadConfig('smoke', { set: [set] }), (error: unknown) => error instanceof ConfigError && message.test(error.message));
  await refused('data=[{path: x', /--set data=\[\{path: x: the value is not valid YAML/);
  await refused('steps', /expected key=value/);
  await refused('steps.a=1', /steps is not a group of settings/);
  await refused('generator.width=8', /unknown key generator\.width: did you mean (rate|type)\?/);
  await refused('optimizer.rl=1', /unknown key optimizer\.rl: did you mean lr\?/);
  await refused('data=[{path: a, jpg: 1}]', /unknown key data\.0\.jpg: did you mean jpeg\?/);
  await refused('optimizer.betas=[1, 2]', /optimizer\.betas\.0: .*<1.*optimizer\.betas\.1/);
});

test('settings of a begun run: what its weights and examples follow from stays', async () => {
  const own = await loadConfig('smoke');
  const changed = changeConfig(own, ['optimizer.lr=1e-5', 'gradientClip=1', 'precision=bf16'], 'RUN');
  assert.deepEqual(changed, { ...own, optimizer: { ...own.optimizer, lr: 1e-5 }, gradientClip: 1, precision: 'bf16' });
  for (const set of ['seed=2', 'generator.rate=3', 'data=[]', 'crop=32', 'optimizers.lr=1']) assert.throws(() => changeConfig(own, [set], 'RUN'), new RegExp(`--set ${set.replace(/[[\]]/g, '.')}: a run keeps it`));
});
