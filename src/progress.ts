/** How far a long piece of work is. `done` counts from 0 to `total`; `label` names the current item. */
export interface Progress { done: number; total: number; label?: string }

/** Everything that takes long accepts these two. */
export interface LongWork {
  onProgress?: (progress: Progress) => void;
  signal?: AbortSignal;
}
