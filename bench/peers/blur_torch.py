"""Motion blur as a PyTorch data set would synthesise it: bench/crops.ts measures it beside unshake's loader.

Says {"torch"} first. Answers each line {"window", "side", "crop", "count"} (a file of side x side x 3 bytes) with {"milliseconds"} a pair: a kernel
along a random path, the window in linear light convolved with it by torch.fft, noise, gamma, a crop and one of the eight flips and turns. One thread.
"""
import json
import math
import sys
import time

import numpy as np
import torch

torch.set_num_threads(1)


def kernel(size=33, moments=200):
    """Points of a smooth random path, spread over their four nearest pixels; sums to 1."""
    length = min(50, max(1, 10 * math.exp(0.75 * torch.randn(()).item())))
    angle = 2 * math.pi * torch.rand(()).item() + torch.cumsum(0.05 * torch.randn(moments), 0)
    path = torch.cumsum(torch.stack([torch.cos(angle), torch.sin(angle)]) * length / moments, 1)
    path = (path - path.mean(1, keepdim=True) + size // 2).clamp(0, size - 2)
    low = path.floor().long()
    part = path - low
    out = torch.zeros(size * size)
    for dx in (0, 1):
        for dy in (0, 1):
            weight = (part[0] if dx else 1 - part[0]) * (part[1] if dy else 1 - part[1])
            out.index_add_(0, (low[1] + dy) * size + low[0] + dx, weight)
    return out.view(size, size) / moments


def pair(window, crop):
    light = (window.float() / 255) ** 2.2
    side = light.shape[1]
    k = kernel()
    spectrum = torch.fft.rfft2(k, s=(side, side))
    blur = torch.fft.irfft2(torch.fft.rfft2(light) * spectrum, s=(side, side)).roll((-(k.shape[0] // 2),) * 2, (1, 2))
    blur = blur + 0.002 * torch.randn_like(blur)
    blur = (blur.clamp(0, 1) ** (1 / 2.2) * 255).round().byte()
    at = (side - crop) // 2
    out = [image[:, at:at + crop, at:at + crop] for image in (blur, window)]
    if torch.rand(()) < 0.5:
        out = [image.flip(2) for image in out]
    if torch.rand(()) < 0.5:
        out = [image.flip(1) for image in out]
    if torch.rand(()) < 0.5:
        out = [image.transpose(1, 2) for image in out]
    return [image.contiguous() for image in out]


def main():
    print(json.dumps({'torch': torch.__version__}), flush=True)
    for line in sys.stdin:
        case = json.loads(line)
        side = case['side']
        window = torch.from_numpy(np.fromfile(case['window'], np.uint8).reshape(side, side, 3)).permute(2, 0, 1).contiguous()
        start = time.perf_counter()
        for _ in range(case['count']):
            pair(window, case['crop'])
        print(json.dumps({'milliseconds': (time.perf_counter() - start) * 1000 / case['count']}), flush=True)


if __name__ == '__main__':
    main()
