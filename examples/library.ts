/**
 * unshake as a library, in a project that has installed it: node library.js IN OUT [MODEL [DEVICE]].
 *
 * A CommonJS project writes `require('unshake')` from Node 20.19 on, or `await import('unshake')`.
 */
import { deblurImage, openNamedModel, readImage, writeImage, type ModelOptions } from 'unshake';
import { psnr } from 'unshake/metrics';

const [input, output, name = 'default', device = 'auto'] = process.argv.slice(2);
const model = await openNamedModel(name, { device: device as ModelOptions['device'] });
const picture = await readImage(input), { image } = picture;
const result = await deblurImage(model, image, { onProgress: ({ done, total }) => console.error(`${done} of ${total}`) });
await writeImage(output, result.image, picture); // with its EXIF and colour profile
console.log(`${output}: ${image.width}×${image.height} on ${model.device}, PSNR to the input ${psnr(result.image, image).toFixed(1)} dB`);
await model.release();
