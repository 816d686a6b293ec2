/** One pair: read, cropped, measured. Runs in the threads, and in the main one when there is little to do. */
import { DataError, MetricError } from '../errors.js';
import { readImage } from '../image/codec-node.js';
import { centreCrop, type Image } from '../image/image.js';
import { measure } from '../metrics/index.js';
import type { Measured, MeasureSettings, MeasureTask } from './messages.js';

/** Throws ImageError, DataError or MetricError naming the file or the pair. */
export async function measurePair(task: MeasureTask, { metrics, protocol, crop }: MeasureSettings): Promise<Measured> {
  const notes: string[] = [];
  const [test, reference] = 'files' in task
    ? await Promise.all([task.files.test, task.files.reference].map((file) => read(file, notes)))
    : [task.images.test, task.images.reference];
  if (test.width !== reference.width || test.height !== reference.height) {
    const [a, b] = 'files' in task ? [task.files.test, task.files.reference] : [task.name, 'its reference'];
    throw new DataError(`${a} is ${test.width}×${test.height}, but ${b} is ${reference.width}×${reference.height}; expected equal sizes`);
  }
  try {
    return { scores: measure(cropped(test, crop), cropped(reference, crop), { metrics, protocol }), notes };
  } catch (error) {
    throw error instanceof MetricError ? new MetricError(`${task.name}: ${error.message}`, { cause: error }) : error;
  }
}

async function read(file: string, notes: string[]): Promise<Image> {
  const picture = await readImage(file, { toSrgb: true });
  notes.push(...picture.notes.map((note) => `${file}: ${note}`));
  if (picture.image.channels % 2 === 0) notes.push(`${file}: the alpha channel is ignored`);
  return picture.image;
}

function cropped(image: Image, crop: number | undefined): Image {
  if (crop === undefined) return image;
  if (crop > Math.min(image.width, image.height)) throw new MetricError(`a ${crop}×${crop} crop does not fit into ${image.width}×${image.height}`);
  return centreCrop(image, crop, crop);
}
