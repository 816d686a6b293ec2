/** Folders that are shipped with the package. Compiled code lies in dist/src, so the root is two levels up. */
export const packageRoot = new URL('../../', import.meta.url);
export const modelsFolder = new URL('models/', packageRoot);
export const experimentsFolder = new URL('experiments/', packageRoot);
