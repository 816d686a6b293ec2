/** The official weight files that losses need: where they are, what they are called, how they begin to hash, and where they are kept here. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { MissingError } from '../errors.js';

export interface OfficialFile {
  /** As it is kept. torchvision's names hold the first 8 digits of the file's SHA-256; ours do too. */
  file: string;
  url: string;
  megabytes: number;
  what: string;
}

const torchvision = (file: string, megabytes: number, what: string): OfficialFile => ({ file, url: `https://download.pytorch.org/models/${file}`, megabytes, what });
const heads = (network: string, digits: string): OfficialFile => ({
  file: `lpips-v0.1-${network}-${digits}.pth`, url: `https://github.com/richzhang/PerceptualSimilarity/raw/master/lpips/weights/v0.1/${network}.pth`, megabytes: 0.01, what: `LPIPS v0.1 linear heads for ${network}`,
});

export const catalogue = {
  vgg16: torchvision('vgg16-397923af.pth', 528, 'VGG16 trained on ImageNet'),
  vgg19: torchvision('vgg19-dcbb9e9d.pth', 548, 'VGG19 trained on ImageNet'),
  alexnet: torchvision('alexnet-owt-7be5be79.pth', 233, 'AlexNet trained on ImageNet'),
  squeezenet1_1: torchvision('squeezenet1_1-b8a52dc0.pth', 5, 'SqueezeNet 1.1 trained on ImageNet'),
  'lpips-vgg': heads('vgg', 'a78928a0'),
  'lpips-alex': heads('alex', 'df73285e'),
  'lpips-squeeze': heads('squeeze', '4a5350f2'),
} satisfies Record<string, OfficialFile>;

export type WeightsName = keyof typeof catalogue;
export const weightsNames = Object.keys(catalogue) as WeightsName[];

/** The first digits of the SHA-256 that an official file must have, from its name. */
export const digitsOf = ({ file }: OfficialFile): string => /-([0-9a-f]{8})\.pth$/.exec(file)![1];

/** The official file that a path claims to be by its name, or null. */
export const claimedBy = (path: string): OfficialFile | null => Object.values<OfficialFile>(catalogue).find(({ file }) => file === basename(path)) ?? null;

/** $UNSHAKE_CACHE, else `unshake` in the user's cache folder. */
export function cacheFolder(): string {
  const { UNSHAKE_CACHE: own, XDG_CACHE_HOME: xdg, LOCALAPPDATA: local } = process.env;
  if (own) return own;
  if (process.platform === 'win32') return join(local ?? join(homedir(), 'AppData', 'Local'), 'unshake');
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'unshake');
  return join(xdg ?? join(homedir(), '.cache'), 'unshake');
}

/** What is needed: official weights by name, or a file of the user's. */
export interface Need { name: WeightsName; path: string | null; key: string }

/** A path for each need. Throws MissingError with the command that gets all that is missing. */
export function findWeights(needs: readonly Need[]): string[] {
  const paths = needs.map(({ name, path }) => path ?? join(cacheFolder(), catalogue[name].file));
  const lost = needs.find(({ path }) => path !== null && !existsSync(path));
  if (lost) throw new MissingError(`${lost.key}: no such file: ${lost.path}`);
  const missing = needs.filter((_, i) => !existsSync(paths[i]));
  if (missing.length === 0) return paths;
  const size = missing.reduce((total, { name }) => total + catalogue[name].megabytes, 0);
  throw new MissingError(`this run needs ${missing.map(({ name }) => catalogue[name].what).join(' and ')}, which ${missing.length > 1 ? 'are' : 'is'} not in ${cacheFolder()}. Get ${missing.length > 1 ? 'them' : 'it'} (${Math.ceil(size)} MB): `
    + `unshake weights fetch ${missing.map(({ name }) => name).join(' ')} — or name a file of yours: ${missing.map(({ key }) => `--set ${key}=FILE`).join(' ')}`);
}
