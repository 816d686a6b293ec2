/** Ways in for a photo: choosing, dropping, pasting. A drop on a finished photo may also be its sharp reference. */
import { byId } from './dom.js';

export interface Intake {
  onPhoto: (file: File) => void;
  onReference: (file: File) => void;
  /** Whether a reference makes sense now. */
  takesReference: () => boolean;
}

export function listenForFiles({ onPhoto, onReference, takesReference }: Intake): void {
  const first = (files: File[]): void => {
    if (files.length > 0) onPhoto(files[0]);
  };
  for (const [id, take] of [['file', onPhoto], ['reference', onReference]] as const) {
    const input = byId(id, HTMLInputElement);
    input.addEventListener('change', () => {
      const [file] = input.files ?? [];
      input.value = ''; // the same file may be chosen again
      if (file) take(file);
    });
  }
  document.addEventListener('paste', (event) => {
    const files = [...event.clipboardData?.files ?? []];
    if (files.length > 0) event.preventDefault();
    first(files);
  });

  const overlay = byId('dropping'), referenceZone = overlay.querySelector<HTMLElement>('[data-drop=reference]')!;
  let depth = 0;
  const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') ?? false;
  const end = (): void => {
    depth = 0;
    overlay.hidden = true;
  };
  document.addEventListener('dragenter', (event) => {
    if (!hasFiles(event)) return;
    depth++;
    referenceZone.hidden = !takesReference();
    overlay.hidden = false;
  });
  document.addEventListener('dragleave', (event) => { if (hasFiles(event) && --depth <= 0) end(); });
  document.addEventListener('dragover', (event) => { if (hasFiles(event)) event.preventDefault(); });
  document.addEventListener('drop', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    end();
    const files = [...event.dataTransfer!.files], zone = (event.target as Element).closest?.('[data-drop]');
    if (zone === referenceZone && takesReference() && files.length === 1) onReference(files[0]);
    else first(files);
  });
}
