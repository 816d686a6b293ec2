/** Training: D step · G step · log · validate · checkpoint. Resuming is the same path, entered at a later step. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTick } from 'node:timers/promises';
import { DeviceError, LibtorchMissingError, TorchError, copy_, keepFreedMemory, manualSeed, noGrad, numThreads, scope, setCudaFlags, setNumThreads, tensor, type Device, type ProcessGroup, type Tensor } from '@unshake/libtorch';
import { checkpointPath, environmentOf, loadCheckpoint, loadGenerator, newestCheckpoint, pruneCheckpoints, saveBest, saveCheckpoint, type Best } from './checkpoint.js';
import type { Config } from './config.js';
import { openLoader, type Batch, type Loader, type SourceSummary } from './data.js';
import { checkLosses, checkWeights } from './divergence.js';
import { AbortedError, CheckpointError, DivergedError, MissingError, TrainingError, UsageError, messageOf } from './errors.js';
import { writeImage } from './image/codec-node.js';
import { readWeights } from './onnx/weights.js';
import { checkAlike, deviceOf, explainLoss, joinRanks, meet, seedStep, shareState, threadsOf, type Meeting, type Ranks } from './parallel.js';
import { makePlayers, releasePlayers, trainStep, type Losses, type Players } from './players.js';
import type { LongWork } from './progress.js';
import { createRun, reopenRun, type RunFolder } from './run-folder.js';
import { stageAt, type Stage } from './stages.js';
import { makeValidator, type Validator } from './validate.js';

export interface TrainOptions extends LongWork {
  device?: Device | 'auto';
  /** Continue the run in the folder from its newest checkpoint. */
  resume?: boolean;
  /** This process is one of several, which must all be given the same settings; rank 0 alone reads and writes the run's folder. */
  ranks?: Ranks;
  /** Start from the averaged weights of a checkpoint, or from an ONNX file that was exported from the same network. */
  initFrom?: string;
  /** One line a time, for a person: what was chosen, what differs. */
  onNotice?: (line: string) => void;
}

export interface TrainResult { step: number; seconds: number; best: Best | null; device: Device; precision: Players['precision'] }

/** Chooses the device and turns libtorch's absence into an error with its cure. */
function prepareLibtorch(config: Config, wanted: Device | 'auto', ranks: Ranks | undefined): Device {
  try {
    const device = deviceOf(wanted, ranks);
    setNumThreads(threadsOf(config, ranks));
    if (device === 'cpu') keepFreedMemory();
    else setCudaFlags({ tf32: true, cudnnBenchmark: true }); // all steps have the same sizes
    return device;
  } catch (error) {
    if (error instanceof LibtorchMissingError || error instanceof DeviceError) throw new MissingError(error.message, { cause: error });
    throw error;
  }
}

function describeSources(sources: readonly SourceSummary[]): string {
  return sources.map(({ path, kind, blurFolder, trainPairs, validationPairs }) => `${path} (${kind}${blurFolder ? `, ${blurFolder}` : ''}): ${trainPairs} to train, ${validationPairs} to validate`).join('; ');
}

/** Beside a GPU crops are what training waits for: every core but two makes them, and further ahead, since pictures are dealt to threads by name. */
function openData(config: Config, device: Device, ranks: Ranks | undefined): Promise<Loader> {
  const { data, seed, batchSize, accumulate, crop, ab, blurFolder, augment, workers, limitPairs } = config;
  const beside = device === 'cpu' ? {} : { workers: Math.max(1, Math.floor(availableParallelism() / (ranks?.localSize ?? 1)) - 2), ahead: 16 };
  return openLoader({
    sources: data, seed, batchSize: batchSize * accumulate, crop, ab, blurFolder, limitPairs: limitPairs ?? undefined, share: ranks, ...beside, ...(workers > 0 && { workers }),
    flipHorizontal: augment !== 'none', flipVertical: augment === 'dihedral', transpose: augment === 'dihedral',
  });
}

/** Copies a trained network's weights into fresh players. Throws CheckpointError when the networks differ, ModelError for a damaged ONNX file. */
function initialise(players: Players, path: string): void {
  const start = (weights: Map<string, Tensor>, what: string): void => {
    try {
      players.generator.loadStateDict(weights);
      noGrad(() => players.ema.average.forEach((value, name) => copy_(value, weights.get(name)!)));
    } catch (error) {
      throw new CheckpointError(`${path} (${what}) can't start this run (${JSON.stringify(players.config.generator)}): ${messageOf(error)}`, { cause: error });
    }
  };
  if (path.endsWith('.onnx')) return scope(() => {
    // A network's parameters have PyTorch's names in the graph, whose own constants have others; a slope of n channels may be n×1×1 there.
    const own = players.generator.stateDict();
    const long = (shape: readonly number[]): string => shape.filter((size) => size !== 1).join();
    const weights = [...readWeights(readFileSync(path), path)].filter(([name]) => own.has(name)).map(([name, { shape, data }]): [string, Tensor] => {
      const wanted = own.get(name)!.shape;
      return [name, tensor(data, long(shape) === long(wanted) ? wanted : shape)];
    });
    start(new Map(weights), 'exported');
  });
  const { generator, config } = loadGenerator(path);
  try {
    start(generator.stateDict(), JSON.stringify(config.generator));
    const { range } = players.generator;
    if (generator.range !== range) throw new CheckpointError(`${path} can't start this run: its pictures are in range ${generator.range}, this run's in ${range}; set generator.range alike (fidelity: as-coded sets unit)`);
  } finally {
    generator.release();
  }
}

/** Enters the run at its newest checkpoint. */
function resume(out: string, config: Config, players: Players, notice: (line: string) => void): Start {
  const { path, skipped } = newestCheckpoint(join(out, 'checkpoints'));
  for (const reason of skipped) notice(`skipped a damaged checkpoint: ${reason}`);
  const { step, best, environment } = loadCheckpoint(path, players);
  if (config.steps < step) throw new UsageError(`${out}: is at step ${step} already, and ${config.steps} steps would end before; --steps can only extend a run. For a shorter one begin anew`);
  const now = environmentOf(players);
  const changed = (Object.keys(now) as (keyof typeof now)[]).filter((key) => environment[key] !== undefined && environment[key] !== now[key]);
  for (const key of changed) notice(`${key} was ${environment[key]} when the checkpoint was written and is ${now[key]} now: the continuation will not be bit-identical`);
  const { run, logged, seconds } = reopenRun(out, config, step);
  notice(`resuming after step ${step} (${path})`);
  return { run, step, logged, seconds, best: changed.includes('pairs') ? null : best }; // PSNRs of other pairs don't compare
}

/** One step; what the networks or the device refuse becomes an error with its cure. */
function stepOrExplain(players: Players, batch: Batch, step: number, progress: number): Losses {
  try {
    return trainStep(players, batch, step, progress);
  } catch (error) {
    if (!(error instanceof TorchError || error instanceof RangeError)) throw error;
    const { crop, batchSize } = stageAt(players.config, progress);
    throw new TrainingError(`step ${step + 1} with batchSize ${batchSize} and crop ${crop}: ${messageOf(error)}; try another crop, or a smaller batchSize with accumulate`, { cause: error });
  }
}

/**
 * Trains a run into the folder `out`. Throws DataError, ConfigError, CheckpointError, MissingError (no libtorch, no device), TrainingError (a step
 * can't be computed), UsageError (it is beyond `steps` already), DivergedError (a loss that is no number, or a pixel loss beyond that of any two pictures), ParallelError (another process is
 * gone), AbortedError when the signal fires. Between two steps, whatever ends a run first saves a checkpoint.
 */
export async function train(config: Config, out: string, options: TrainOptions = {}): Promise<TrainResult> {
  const { device: wanted = 'auto', resume: resuming = false, ranks, initFrom, onNotice = () => {}, onProgress, signal } = options;
  const leads = !ranks || ranks.rank === 0;
  const notice = leads ? onNotice : () => {};
  const device = prepareLibtorch(config, wanted, ranks);
  let group: ProcessGroup | null = null, loader: Loader | null = null, players: Players | null = null, validator: Validator | null = null;
  try {
    if (ranks) group = await joinRanks(ranks, config, device, signal);
    loader = await openData(config, device, ranks);
    for (const stage of config.progressive) await loader.batch(0, stage); // hours away: a crop that hardly any picture holds is refused now
    if (group) checkAlike(group, loader.pairs, 'pictures', `all processes need the same data; here are ${loader.pairs}`);
    manualSeed(config.seed);
    players = makePlayers(config, device, { group, pairs: loader.pairs });
    if (leads && initFrom && !resuming) initialise(players, initFrom);
    if (leads && loader.validation.length > 0) validator = await makeValidator(players, loader.validation);
    manualSeed(config.seed); // the validator's weights were drawn too: dropout must not depend on it
    notice(`${config.name}: ${players.generator.parameterCount.toLocaleString('en')} parameters on ${device} in ${players.precision}; ${describeSources(loader.sources)}`);
    if (effectiveBatch(players, config) > config.batchSize) notice(describeBatch(players));
    if (!validator) notice('no pairs are held out (one scene only): best is the newest checkpoint');
    const start: Start = leads && resuming ? resume(out, config, players, notice) : { run: leads ? createRun(out, config) : null, step: 0, logged: 0, seconds: 0, best: null };
    if (group) [start.step, start.seconds] = shareState(group, players, [start.step, start.seconds]);
    const result = await loop(players, loader, validator, start, { onProgress, signal });
    return { ...result, device, precision: players.precision };
  } catch (error) {
    throw explainLoss(error);
  } finally {
    if (device !== 'cpu') setCudaFlags({ tf32: false, cudnnBenchmark: false }); // what comes after, such as a report, computes in float32
    group?.close(); // first of all: the others learn of a failure by it
    validator?.release();
    if (players) releasePlayers(players);
    await loader?.close();
  }
}

const effectiveBatch = ({ config, group }: Players, { batchSize }: Stage): number => batchSize * config.accumulate * (group?.size ?? 1);

function describeBatch(players: Players): string {
  const { config: { batchSize, accumulate }, group } = players;
  const factors = [...(group ? [`${group.size} processes`] : []), ...(accumulate > 1 ? [`${accumulate} micro-batches`] : []), String(batchSize)];
  return `effective batch ${effectiveBatch(players, players.config)} (${factors.join(' × ')})${group ? `, ${numThreads()} threads a process` : ''}`;
}

/** Where a run is entered; `run` is null in all processes but the one that writes it. */
interface Start {
  run: RunFolder | null;
  step: number;
  /** The last step that the log names: behind `step` where something went wrong before the step could be logged. */
  logged: number;
  seconds: number;
  best: Best | null;
}

async function loop(players: Players, loader: Loader, validator: Validator | null, start: Start, { onProgress, signal }: LongWork): Promise<{ step: number; seconds: number; best: Best | null }> {
  const { config, group } = players;
  const { minutes } = config, { run } = start;
  let { step, best } = start;
  const clockStart = performance.now() - start.seconds * 1000;
  const elapsed = () => (performance.now() - clockStart) / 1000;
  const own = (losses: Losses): Meeting => ({ losses, seconds: elapsed(), stop: signal?.aborted ?? false });
  let { seconds, stop } = meet(group, own({}));
  const timeIsUp = () => minutes !== null && seconds >= minutes * 60;
  let logged = { step, seconds: elapsed() };
  let latest: { losses: Losses; images: number } | null = null; // of the last step
  let checkpointed = step > 0 ? step : -1;

  const checkpoint = ({ checkpoints }: RunFolder): void => {
    if (checkpointed === step) return;
    checkWeights(players.generator, step, checkpoints);
    saveCheckpoint(checkpointPath(checkpoints, step), step, players, best);
    pruneCheckpoints(checkpoints, config.keepCheckpoints);
    checkpointed = step;
  };

  const validate = async ({ samples, checkpoints }: RunFolder): Promise<Record<string, number>> => {
    checkWeights(players.generator, step, checkpoints);
    const validation = await validator?.validate(() => group?.check());
    if (validation) await writeImage(join(samples, `step-${String(step).padStart(8, '0')}.png`), validation.panel);
    if (!validation || !best || validation.psnr > best.psnr) {
      const better = { step, psnr: validation?.psnr ?? NaN };
      saveBest(join(checkpoints, 'best.safetensors'), step, players, better);
      best = better; // only now: a checkpoint must not name a best that isn't there
    }
    return validation ? { validationPsnr: round(validation.psnr), validationInputPsnr: round(validation.inputPsnr) } : {};
  };

  /** Work between two steps, when the run can be saved: what it throws must not cost the steps since the last checkpoint. */
  const orSave = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if (run && step > 0 && !(error instanceof DivergedError)) {
        try {
          checkpoint(run);
        } catch { /* the same full disk, perhaps: the first error says what happened */ }
      }
      throw error;
    }
  };

  const stepsPerSecond = (): number => (step - logged.step) / (seconds - logged.seconds);
  const log = async (folder: RunFolder, { losses, images }: { losses: Losses; images: number }, validation: Record<string, number> | null): Promise<void> => {
    await orSave(async () => folder.log({ step, seconds: round(seconds), imagesPerSecond: round(stepsPerSecond() * images), effectiveBatch: images, ...losses, ...validation }));
    logged = { step, seconds: elapsed() }; // validating is not counted as training speed
  };

  while (step < config.steps && !timeIsUp() && !stop) {
    const progress = minutes === null ? step / config.steps : seconds / (minutes * 60);
    const stage = stageAt(config, progress);
    const batch = await orSave(() => loader.batch(step, { crop: stage.crop, batchSize: stage.batchSize * config.accumulate }));
    stop = !group && signal?.aborted === true; // several processes agree on it after the step
    if (stop) break;
    if (group) seedStep(group, config.seed, step);
    const ownLosses = stepOrExplain(players, batch, step, progress);
    step++;
    checkLosses(ownLosses, config, step, batch.names, run?.checkpoints);
    await nextTick(); // lets finalizers, Ctrl-C and the loader's threads have their turn
    const { losses, ...agreed } = meet(group, own(ownLosses));
    ({ seconds, stop } = agreed);
    if (!run) continue;

    const last = step === config.steps || timeIsUp();
    latest = { losses, images: effectiveBatch(players, stage) };
    const validation = last || step % config.validateEvery === 0 ? await orSave(() => validate(run)) : null;
    const label = [`${stepsPerSecond().toFixed(2)} steps/s`, ...Object.entries(losses).map(([name, value]) => `${name} ${value.toFixed(4)}`)].join(' · ');
    if (last || validation || step % config.logEvery === 0) await log(run, latest, validation);
    onProgress?.({ done: step, total: config.steps, label });
    if (step % config.checkpointEvery === 0) checkpoint(run);
  }

  if (run && latest && logged.step < step) await log(run, latest, null); // stopped: a budget of time goes on from the last one logged
  if (run && step > 0 && !stop && (!best || (!latest && start.logged < step))) await orSave(() => validate(run)); // entered at its end: the last validation failed
  if (run) checkpoint(run);
  group?.barrier(); // nobody leaves while rank 0 still writes
  if (stop) throw new AbortedError(`stopped at step ${step} of ${config.steps}; the checkpoint is saved, and --resume continues`);
  return { step, seconds: elapsed(), best };
}

const round = (value: number): number => Math.round(value * 1000) / 1000;
