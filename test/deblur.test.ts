/** One picture through one network: shapes, depths, strength, test-time augmentation, refusals, aborting. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deblurImage } from '../src/deblur.js';
import { AbortedError, ModelError, UsageError } from '../src/errors.js';
import { cropImage, type Image } from '../src/image/image.js';
import { readMetadata } from '../src/onnx/metadata.js';
import { widenModel } from '../src/onnx/widen.js';
import { openModel, type Model } from '../src/runtime/session.js';
import { largestDifference, noisyImage } from './small-images.js';
import { blackModel, blockModel, boxModel, brokenModel, doublingModel, identityModel, meanModel, overflowingModel, wideModel } from './small-models.js';

/** A 9×9 mean with zeros outside, in plain loops: what boxModel computes. */
function boxMean(image: Image): Image {
  const { width, height, channels } = image;
  const data = image.data.slice();
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) for (let c = 0; c < channels; c++) {
    let sum = 0;
    for (let v = Math.max(0, y - 4); v <= Math.min(height - 1, y + 4); v++) {
      for (let u = Math.max(0, x - 4); u <= Math.min(width - 1, x + 4); u++) sum += image.data[(v * width + u) * channels + c];
    }
    data[(y * width + x) * channels + c] = Math.round(sum / 81);
  }
  return { ...image, data };
}

test('the network sees the picture: the box model gives the box mean, at 8 and 16 bits', async () => {
  const model = await openModel(boxModel());
  for (const bits of [8, 16] as const) {
    const image = noisyImage(61, 47, 3, bits);
    const { image: result } = await deblurImage(model, image);
    assert.ok(largestDifference(result, boxMean(image)) <= 1);
  }
  await model.release();
});

for (const bits of [8, 16] as const) {
  for (const channels of [1, 2, 3, 4] as const) {
    test(`${channels} channels of ${bits} bits come back as they were from an identity, and alpha from any network`, async () => {
      const [identity, block] = [await openModel(identityModel()), await openModel(blockModel())];
      const image = noisyImage(70, 41, channels, bits);
      assert.equal(largestDifference((await deblurImage(identity, image)).image, image), 0);
      const { image: changed } = await deblurImage(block, image, { tile: 32 });
      assert.ok(largestDifference(changed, image) > 0);
      if (channels === 2 || channels === 4) {
        for (let i = channels - 1; i < image.data.length; i += channels) assert.equal(changed.data[i], image.data[i]);
      }
      await identity.release();
      await block.release();
    });
  }
}

test('gray is run as three equal channels and comes back as their luma', async () => {
  const model = await openModel(boxModel());
  const gray = noisyImage(50, 40, 1);
  assert.ok(largestDifference((await deblurImage(model, gray)).image, boxMean(gray)) <= 1);
  await model.release();

  const block = await openModel(blockModel()); // answers differently in each channel
  const colour: Image = { ...gray, channels: 3, data: Uint8Array.from({ length: 3 * gray.data.length }, (_, i) => gray.data[Math.floor(i / 3)]) };
  const [one, three] = [(await deblurImage(block, gray)).image, (await deblurImage(block, colour)).image];
  for (let i = 0; i < one.data.length; i++) {
    const luma = 0.2126 * three.data[3 * i] + 0.7152 * three.data[3 * i + 1] + 0.0722 * three.data[3 * i + 2];
    const clipped = three.data.subarray(3 * i, 3 * i + 3).some((value) => value === 0 || value === 255);
    assert.ok(clipped || Math.abs(one.data[i] - luma) <= 1);
  }
  await block.release();
});

test('a picture is padded to the multiple with its mirror image, and the padding is cut off again', async () => {
  const model = await openModel(blockModel());
  const image = noisyImage(33, 30);
  const data = new Uint8Array(36 * 32 * 3);
  for (let y = 0; y < 32; y++) for (let x = 0; x < 36; x++) for (let c = 0; c < 3; c++) {
    const [u, v] = [x < 33 ? x : 64 - x, y < 30 ? y : 58 - y];
    data[(y * 36 + x) * 3 + c] = image.data[(v * 33 + u) * 3 + c];
  }
  const padded = (await deblurImage(model, { ...image, width: 36, height: 32, data })).image;
  assert.equal(largestDifference((await deblurImage(model, image)).image, cropImage(padded, 0, 0, 33, 30)), 0);
  await model.release();
});

test('any size works: 1×1, smaller than the multiple, odd, thin', async () => {
  const model = await openModel(blockModel());
  for (const [width, height] of [[1, 1], [2, 3], [3, 50], [5, 7], [401, 1], [33, 35]]) {
    const { image } = await deblurImage(model, noisyImage(width, height));
    assert.deepEqual([image.width, image.height, image.data.length], [width, height, 3 * width * height]);
  }
  await model.release();
});

test('strength 0 is the picture itself, bit by bit; one half lies between', async () => {
  const model = await openModel(boxModel());
  for (const bits of [8, 16] as const) {
    for (const channels of [1, 3, 4] as const) {
      const image = noisyImage(90, 60, channels, bits);
      const none = (await deblurImage(model, image, { strength: 0 })).image;
      assert.equal(largestDifference(none, image), 0);
      const [half, full] = [(await deblurImage(model, image, { strength: 0.5 })).image, (await deblurImage(model, image)).image];
      for (let i = 0; i < image.data.length; i++) assert.ok(Math.abs(half.data[i] - (image.data[i] + full.data[i]) / 2) <= 1);
    }
  }
  await model.release();
});

test('averaging over eight orientations leaves a symmetric network as it is, and makes another one symmetric', async () => {
  const box = await openModel(boxModel());
  const image = noisyImage(75, 52);
  const plain = (await deblurImage(box, image)).image, averaged = (await deblurImage(box, image, { tta: true })).image;
  assert.ok(largestDifference(plain, averaged) <= 1);
  await box.release();

  const block = await openModel(blockModel());
  const sized = noisyImage(64, 48); // divisible by the multiple: padding would break the symmetry
  const mirror = (of: Image): Image => {
    const data = of.data.slice();
    for (let y = 0; y < of.height; y++) for (let x = 0; x < of.width; x++) for (let c = 0; c < 3; c++) {
      data[(y * of.width + x) * 3 + c] = of.data[(y * of.width + of.width - 1 - x) * 3 + c];
    }
    return { ...of, data };
  };
  const both = async (tta: boolean): Promise<number> =>
    largestDifference(mirror((await deblurImage(block, sized, { tta })).image), (await deblurImage(block, mirror(sized), { tta })).image);
  assert.ok(await both(false) > 1, 'the network itself is not symmetric');
  assert.ok(await both(true) <= 1);
  await block.release();
});

test('averaging works on tiles', async () => {
  const model = await openModel(boxModel());
  const image = noisyImage(210, 130);
  const { image: tiled, tiles } = await deblurImage(model, image, { tta: true, tile: 64 });
  assert.ok(tiles > 1);
  assert.ok(largestDifference(tiled, (await deblurImage(model, image)).image) <= 1);
  await model.release();
});

test('a network that needs the whole picture gets it, whatever the tile', async () => {
  const model = await openModel(meanModel());
  const { tiles, image } = await deblurImage(model, noisyImage(600, 300), { tile: 64 });
  assert.equal(tiles, 1);
  const mean = Array.from(image.data).reduce((sum, value) => sum + value, 0) / image.data.length;
  assert.ok(Math.abs(mean - 127.5) < 1);
  await model.release();
});

test('too large for the memory: tiles get smaller, a whole picture is refused with the size that would do', async () => {
  const tiled = await openModel(wideModel(16, 2, false)), whole = await openModel(wideModel(16, 2, true));
  const image = noisyImage(512, 384);
  assert.ok((await deblurImage(tiled, image, { memory: 8 * 2 ** 20 })).tiles > 1);
  const refusal = await deblurImage(whole, image, { memory: 8 * 2 ** 20 }).catch((error: unknown) => error);
  assert.ok(refusal instanceof ModelError, String(refusal));
  const [, width, height] = /scale the picture to (\d+)×(\d+) or less/.exec(refusal.message)!.map(Number);
  assert.ok(width < 512 && height < 384 && Math.abs(width / height - 4 / 3) < 0.1);
  assert.equal((await deblurImage(whole, noisyImage(width, height), { memory: 8.5 * 2 ** 20 })).tiles, 1);
  await tiled.release();
  await whole.release();
});

test('NaN is an error that names the network, not a black picture', async () => {
  const model = await openModel(brokenModel());
  await assert.rejects(deblurImage(model, noisyImage(40, 40)), (error) => error instanceof ModelError && /broken gave NaN/.test(error.message));
  await model.release();
});

test('a black tile is an error too, unless the picture is black', async () => {
  const model = await openModel(blackModel());
  await assert.rejects(deblurImage(model, noisyImage(40, 40)), (error) => error instanceof ModelError && /black gave a black picture/.test(error.message));
  const black = { ...noisyImage(40, 40), data: new Uint8Array(3 * 40 * 40) };
  assert.equal(largestDifference((await deblurImage(model, black)).image, black), 0);
  await model.release();
});

test('where a device gives NaN or black, the rest is computed in 32 bits on the CPU, with a word', async () => {
  const block = await openModel(blockModel());
  const image = noisyImage(160, 100);
  const { image: expected } = await deblurImage(block, image, { tile: 32 });
  for (const [value, fault] of [[NaN, 'NaN or infinity'], [Infinity, 'NaN or infinity'], [0, 'a black picture']] as const) {
    let runs = 0;
    const weak: Model = {
      ...block, device: 'webgpu', inFloat32: async () => block,
      run: async (input, width, height) => (++runs < 3 ? block.run(input, width, height) : new Float32Array(input.length).fill(value)),
    };
    const seen: number[] = [];
    const { image: result, notes, tiles } = await deblurImage(weak, image, { tile: 32, onProgress: ({ done, total }) => seen.push(done / total) });
    assert.equal(largestDifference(result, expected), 0);
    assert.deepEqual(notes, [`block gave ${fault} on webgpu: repeated in 32 bits on cpu`]);
    assert.equal(runs, 3);
    assert.ok(tiles > 3 && seen.at(-1) === 1);
    await assert.rejects(deblurImage({ ...weak, inFloat32: undefined }, image), ModelError);
  }
  await block.release();
});

test('a model in half precision is opened once more in float32', async () => {
  const halves = overflowingModel(), wide = widenModel(halves)!;
  assert.equal(widenModel(wide), undefined);
  assert.equal(widenModel(identityModel()), undefined);
  assert.deepEqual(readMetadata(wide), readMetadata(halves));
  const model = await openModel(halves), image = noisyImage(30, 20);
  assert.equal(largestDifference((await deblurImage((await model.inFloat32!())!, image)).image, image), 0);
  assert.equal(await model.inFloat32!(), await model.inFloat32!());
  await model.release();
  const single = await openModel(identityModel(), { device: 'cpu' });
  assert.equal(await single.inFloat32!(), undefined);
  await single.release();
});

test('in place, the result is the same and lies in the picture itself, whatever the tiles', async () => {
  const model = await openModel(blockModel());
  for (const [width, height, tile] of [[131, 173, 32], [97, 401, 50], [64, 64, 64], [5, 3, 16]]) {
    for (const [channels, bits] of [[3, 8], [4, 16], [1, 8]] as const) {
      const image = noisyImage(width, height, channels, bits);
      const { image: expected } = await deblurImage(model, image, { tile, strength: 0.7 });
      const { image: result } = await deblurImage(model, image, { tile, strength: 0.7, inPlace: true });
      assert.equal(result.data, image.data);
      assert.equal(largestDifference(result, expected), 0, `${width}×${height}`);
    }
  }
  await model.release();
});

test('a network that changes the size is refused', async () => {
  const model = await openModel(doublingModel());
  await assert.rejects(deblurImage(model, noisyImage(40, 40)), (error) => error instanceof ModelError && /expected the size of the input/.test(error.message));
  await model.release();
});

test('settings out of range are refused', async () => {
  const model = await openModel(identityModel());
  for (const options of [{ strength: -0.1 }, { strength: 1.1 }, { strength: NaN }, { tile: 15 }, { tile: 64.5 }, { tile: NaN }]) {
    await assert.rejects(deblurImage(model, noisyImage(20, 20), options), UsageError);
  }
  await model.release();
});

test('progress counts every run up to the total, and abort stops in between', async () => {
  const model = await openModel(identityModel());
  const image = noisyImage(300, 200);
  const seen: number[] = [];
  let last = 0;
  const { tiles } = await deblurImage(model, image, { tile: 64, onProgress: ({ done, total }) => { seen.push(done); last = total; } });
  assert.equal(last, tiles);
  assert.deepEqual(seen, Array.from({ length: tiles + 1 }, (_, index) => index));

  const abort = new AbortController();
  let runs = 0;
  const aborted = deblurImage(model, image, { tile: 64, signal: abort.signal, onProgress: ({ done }) => { runs = done; if (done === 3) abort.abort(); } });
  await assert.rejects(aborted, AbortedError);
  assert.equal(runs, 3);
  await assert.rejects(deblurImage(model, image, { signal: AbortSignal.abort() }), AbortedError);
  await model.release();
});
