/** Parser of an option that may be given several times: all its values. */
export const repeated = (value: string, all: string[]): string[] => [...all, value];
