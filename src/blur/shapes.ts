/** Shapes of generated scenes as signed distances in pixels: negative inside, so that edges are anti-aliased exactly. */
import type { Random } from '../random.js';

export interface Shape {
  readonly x: number; readonly y: number;
  /** Half the side of a square around (x, y) that holds the whole shape. */
  readonly reach: number;
  distance(px: number, py: number): number;
}

// Math.hypot guards against overflow, at many times the price of a square root.
const distanceTo = (dx: number, dy: number): number => Math.sqrt(dx * dx + dy * dy);

export function disc(x: number, y: number, radius: number): Shape {
  return { x, y, reach: radius, distance: (px, py) => distanceTo(px - x, py - y) - radius };
}

export function ring(x: number, y: number, radius: number, thickness: number): Shape {
  return { x, y, reach: radius + thickness, distance: (px, py) => Math.abs(distanceTo(px - x, py - y) - radius) - thickness };
}

/** The corners must go around once; `round` pixels are added on every side, which rounds the corners off. */
export function polygon(corners: readonly (readonly [number, number])[], round = 0): Shape {
  const n = corners.length;
  const x = corners.reduce((sum, [cx]) => sum + cx, 0) / n, y = corners.reduce((sum, [, cy]) => sum + cy, 0) / n;
  const reach = Math.max(...corners.map(([cx, cy]) => Math.hypot(cx - x, cy - y))) + round;
  // After Inigo Quilez, "2D distance functions": the nearest edge, and the parity of edges crossed.
  const distance = (px: number, py: number): number => {
    let nearest = Infinity, inside = false;
    for (let i = 0, j = n - 1; i < n; j = i++) {
      const [ax, ay] = corners[i], [bx, by] = corners[j];
      const ex = bx - ax, ey = by - ay, wx = px - ax, wy = py - ay;
      const share = Math.min(1, Math.max(0, (wx * ex + wy * ey) / (ex * ex + ey * ey)));
      nearest = Math.min(nearest, (wx - share * ex) ** 2 + (wy - share * ey) ** 2);
      if ((ay > py) !== (by > py) && px < ex * (py - ay) / ey + ax) inside = !inside;
    }
    return (inside ? -Math.sqrt(nearest) : Math.sqrt(nearest)) - round;
  };
  return { x, y, reach, distance };
}

/** A line of round-ended segments, `thickness` pixels to each side. */
export function stroke(points: readonly (readonly [number, number])[], thickness: number): Shape {
  const xs = points.map(([px]) => px), ys = points.map(([, py]) => py);
  const x = (Math.min(...xs) + Math.max(...xs)) / 2, y = (Math.min(...ys) + Math.max(...ys)) / 2;
  const reach = Math.max(Math.max(...xs) - x, Math.max(...ys) - y) + thickness;
  const distance = (px: number, py: number): number => {
    let nearest = Infinity;
    for (let i = 1; i < points.length; i++) {
      const [ax, ay] = points[i - 1], [bx, by] = points[i];
      const ex = bx - ax, ey = by - ay, wx = px - ax, wy = py - ay;
      const share = Math.min(1, Math.max(0, (wx * ex + wy * ey) / (ex * ex + ey * ey || 1)));
      nearest = Math.min(nearest, (wx - share * ex) ** 2 + (wy - share * ey) ** 2);
    }
    return Math.sqrt(nearest) - thickness;
  };
  return { x, y, reach, distance };
}

export function rectangle(x: number, y: number, halfWidth: number, halfHeight: number, angle: number, round = 0): Shape {
  const cos = Math.cos(angle), sin = Math.sin(angle);
  const w = Math.max(0.1, halfWidth - round), h = Math.max(0.1, halfHeight - round);
  const corners = ([[-w, -h], [w, -h], [w, h], [-w, h]] as const).map(([u, v]) => [x + cos * u - sin * v, y + sin * u + cos * v] as const);
  return polygon(corners, round);
}

/** A random leaf of about this radius. */
export function randomLeaf(random: Random, x: number, y: number, radius: number): Shape {
  const angle = random.between(0, 2 * Math.PI);
  switch (random.pick(['disc', 'disc', 'ring', 'polygon', 'polygon', 'rectangle', 'rectangle', 'bar'] as const)) {
    case 'disc': return disc(x, y, radius);
    case 'ring': return ring(x, y, 0.8 * radius, random.between(0.08, 0.25) * radius);
    case 'rectangle': return rectangle(x, y, radius, radius * random.between(0.4, 1), angle, radius * random.between(0, 0.25));
    case 'bar': {
      const length = random.between(0.8, 1.6) * radius;
      return stroke([[x - length * Math.cos(angle), y - length * Math.sin(angle)], [x + length * Math.cos(angle), y + length * Math.sin(angle)]], radius * random.between(0.08, 0.3));
    }
    case 'polygon': {
      const sides = 3 + random.integer(4), round = radius * random.between(0, 0.2);
      return polygon(Array.from({ length: sides }, (_, i) => {
        const turn = angle + 2 * Math.PI * (i + random.between(-0.18, 0.18)) / sides;
        const far = (radius - round) * random.between(0.85, 1.1);
        return [x + far * Math.cos(turn), y + far * Math.sin(turn)] as const;
      }), round);
    }
  }
}
