/** Bytes as errors about memory print them, in GiB. */
export const gib = (bytes: number): string => (bytes / 2 ** 30).toFixed(1);
