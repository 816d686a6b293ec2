/** The stage: the photo before and after on one canvas, a boundary between them, zoom and pan by pointer, wheel, touch and keys. */
import { byId } from './dom.js';

/** A picture in full and, when it is large, in a size that is quick to draw. */
interface Layer { full: ImageBitmap; small?: ImageBitmap }

export interface Viewer {
  show(before: ImageBitmap): Promise<void>;
  /** Adds the result and slides the boundary to the middle. */
  reveal(after: ImageBitmap): Promise<void>;
  setStrength(strength: number): void;
  clear(): void;
}

const largest = 16, smallSide = 2048;

async function layerOf(full: ImageBitmap): Promise<Layer> {
  const scale = smallSide / Math.max(full.width, full.height);
  if (scale > 0.7) return { full };
  return { full, small: await createImageBitmap(full, { resizeWidth: Math.round(full.width * scale), resizeHeight: Math.round(full.height * scale), resizeQuality: 'high' }) };
}

export function openViewer(): Viewer {
  const stage = byId('stage'), canvas = byId('canvas', HTMLCanvasElement), divider = byId('divider');
  const tags = { before: byId('tag-before'), after: byId('tag-after') }, percent = byId('zoom-fit');
  const context = canvas.getContext('2d')!;
  let before: Layer | undefined, after: Layer | undefined;
  let strength = 1, boundary = 1, fitted = true;
  let view = { scale: 1, x: 0, y: 0 };
  let frame = 0;

  const size = (): { width: number; height: number } => ({ width: stage.clientWidth, height: stage.clientHeight });
  const fitScale = (): number => {
    const { width, height } = size();
    return before ? Math.min(width / before.full.width, height / before.full.height, 2) : 1;
  };
  const redraw = (): void => { frame ||= requestAnimationFrame(draw); };

  function place(scale: number, x: number, y: number): void {
    if (!before) return;
    const { width, height } = size(), least = fitScale();
    fitted = scale <= least * 1.001;
    scale = fitted ? least : Math.min(scale, largest);
    // The picture stays on the stage: centred where it is smaller, without gaps where it is larger.
    const inside = (offset: number, room: number, length: number): number => length <= room ? (room - length) / 2 : Math.min(0, Math.max(room - length, offset));
    view = { scale, x: inside(x, width, before.full.width * scale), y: inside(y, height, before.full.height * scale) };
    percent.textContent = fitted ? 'Fit' : `${Math.round(scale * devicePixelRatio * 100)} %`;
    redraw();
  }
  const fit = (): void => place(0, 0, 0);
  const zoomAt = (factor: number, x = size().width / 2, y = size().height / 2): void => {
    const scale = Math.min(largest, Math.max(fitScale(), view.scale * factor)), ratio = scale / view.scale;
    place(scale, x - (x - view.x) * ratio, y - (y - view.y) * ratio);
  };
  const moveBoundary = (share: number): void => {
    boundary = Math.min(1, Math.max(0, share));
    divider.setAttribute('aria-valuenow', String(Math.round(boundary * 100)));
    divider.setAttribute('aria-valuetext', `${Math.round(boundary * 100)} % before, the rest after`);
    redraw();
  };

  function paint(layer: Layer, alpha: number): void {
    const { scale, x, y } = view, picture = layer.small && scale * devicePixelRatio * layer.full.width <= layer.small.width * 1.3 ? layer.small : layer.full;
    context.globalAlpha = alpha;
    context.imageSmoothingEnabled = scale * devicePixelRatio < 3;
    context.imageSmoothingQuality = 'high';
    context.drawImage(picture, x, y, layer.full.width * scale, layer.full.height * scale);
  }

  function half(left: number, right: number, paintAll: () => void): void {
    if (right <= left) return;
    context.save();
    context.beginPath();
    context.rect(left, 0, right - left, size().height);
    context.clip();
    paintAll();
    context.restore();
  }

  function draw(): void {
    frame = 0;
    const { width, height } = size(), ratio = devicePixelRatio;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    if (!before) return;
    const [first, second] = [before, after], at = second ? boundary * width : width;
    half(0, at, () => paint(first, 1));
    if (second) half(at, width, () => {
      if (strength < 1) paint(first, 1);
      paint(second, strength);
    });
    divider.style.left = `${at}px`;
    tags.before.style.opacity = at > 110 ? '1' : '0';
    tags.after.style.opacity = at < width - 100 ? '1' : '0';
  }

  listen();
  return {
    async show(picture) {
      this.clear();
      before = await layerOf(picture);
      fit();
    },
    async reveal(picture) {
      after = await layerOf(picture);
      for (const element of [divider, tags.before, tags.after]) element.hidden = false;
      if (matchMedia('(prefers-reduced-motion: reduce)').matches) return moveBoundary(0.5);
      const started = performance.now();
      const step = (now: number): void => {
        const time = Math.min(1, Math.max(0, (now - started) / 900)), eased = 1 - (1 - time) ** 3;
        moveBoundary(1 - eased / 2);
        if (time < 1 && after) requestAnimationFrame(step);
      };
      requestAnimationFrame(step);
    },
    setStrength(value) {
      strength = value;
      redraw();
    },
    clear() {
      for (const layer of [before, after]) {
        layer?.full.close();
        layer?.small?.close();
      }
      before = after = undefined;
      for (const element of [divider, tags.before, tags.after]) element.hidden = true;
      boundary = 1;
      redraw();
    },
  };

  function listen(): void {
    const pointers = new Map<number, { x: number; y: number }>();
    const local = ({ clientX, clientY }: MouseEvent): { x: number; y: number } => {
      const { left, top } = stage.getBoundingClientRect();
      return { x: clientX - left, y: clientY - top };
    };
    let touched: 'boundary' | 'picture' = 'picture';
    const down = (event: PointerEvent): void => {
      if (event.button !== 0) return;
      const handle = event.currentTarget === divider;
      touched = handle || (fitted && after) ? 'boundary' : 'picture';
      pointers.set(event.pointerId, local(event));
      (event.currentTarget as Element).setPointerCapture(event.pointerId);
      if (touched === 'boundary' && pointers.size === 1) moveBoundary(local(event).x / size().width);
    };
    const move = (event: PointerEvent): void => {
      const last = pointers.get(event.pointerId);
      if (!last) return;
      const now = local(event), others = [...pointers].filter(([id]) => id !== event.pointerId).map(([, point]) => point);
      pointers.set(event.pointerId, now);
      if (others.length > 0) {
        const [other] = others, distance = (point: { x: number; y: number }): number => Math.hypot(point.x - other.x, point.y - other.y);
        zoomAt(distance(now) / Math.max(1, distance(last)), (now.x + other.x) / 2, (now.y + other.y) / 2);
      } else if (touched === 'boundary') moveBoundary(now.x / size().width);
      else place(view.scale, view.x + now.x - last.x, view.y + now.y - last.y);
    };
    const up = (event: PointerEvent): void => { pointers.delete(event.pointerId); };
    for (const element of [canvas, divider]) {
      element.addEventListener('pointerdown', down);
      element.addEventListener('pointermove', move);
      element.addEventListener('pointerup', up);
      element.addEventListener('pointercancel', up);
    }
    canvas.addEventListener('dblclick', (event) => {
      const { x, y } = local(event);
      if (fitted) zoomAt(Math.max(2, 1 / (view.scale * devicePixelRatio)), x, y);
      else fit();
    });
    stage.addEventListener('wheel', (event) => {
      if (!before) return;
      event.preventDefault();
      const { x, y } = local(event);
      zoomAt(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), x, y);
    }, { passive: false });
    byId('zoom-in').addEventListener('click', () => zoomAt(1.5));
    byId('zoom-out').addEventListener('click', () => zoomAt(1 / 1.5));
    percent.addEventListener('click', fit);
    canvas.addEventListener('keydown', (event) => {
      const step = 60;
      switch (event.key) {
        case '+': case '=': zoomAt(1.5); break;
        case '-': zoomAt(1 / 1.5); break;
        case '0': fit(); break;
        case 'ArrowLeft': place(view.scale, view.x + step, view.y); break;
        case 'ArrowRight': place(view.scale, view.x - step, view.y); break;
        case 'ArrowUp': place(view.scale, view.x, view.y + step); break;
        case 'ArrowDown': place(view.scale, view.x, view.y - step); break;
        default: return;
      }
      event.preventDefault();
    });
    divider.addEventListener('keydown', (event) => {
      const steps: Record<string, number> = { ArrowLeft: -0.02, ArrowDown: -0.02, ArrowRight: 0.02, ArrowUp: 0.02, PageDown: -0.1, PageUp: 0.1, Home: -1, End: 1 };
      if (steps[event.key] === undefined) return;
      event.preventDefault();
      moveBoundary(boundary + steps[event.key]);
    });
    new ResizeObserver(() => place(fitted ? 0 : view.scale, view.x, view.y)).observe(stage);
  }
}
