"""The metrics with PyTorch tensor operations, as piq 0.8 computes them: 2-D windows, five filtered maps, complex FFTs.

One line of JSON a case on stdin: {"metric", "width", "height", "test", "reference"}; the two pictures are files of float32
planes, R, G and B one after another, in [0, 1]. One line of JSON back: {"value", "milliseconds"}, and with "skimage": true the
same SSIM by scikit-image. The first line names the versions.
"""
import json
import math
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(1)


def gaussian(size, sigma):
    g = (torch.arange(size, dtype=torch.float32) - (size - 1) / 2) ** 2
    g = torch.exp(-(g[:, None] + g[None, :]) / (2 * sigma ** 2))
    return g / g.sum()


def similarity(x, y, kernel):
    channels, c1, c2 = x.shape[1], 0.01 ** 2, 0.03 ** 2
    window = kernel.expand(channels, 1, *kernel.shape).contiguous()
    mean = lambda t: F.conv2d(t, window, groups=channels)
    mx, my = mean(x), mean(y)
    xx, yy, xy = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    contrast = (2 * xy + c2) / (xx + yy + c2)
    structure = (2 * mx * my + c1) / (mx * mx + my * my + c1) * contrast
    return structure.mean((-1, -2)), contrast.mean((-1, -2))


def pooled(x):
    factor = max(1, round(min(x.shape[-2:]) / 256))
    return F.avg_pool2d(x, factor) if factor > 1 else x


def ssim(x, y):
    return similarity(pooled(x), pooled(y), gaussian(11, 1.5))[0].mean()


def msssim(x, y):
    weights, kernel, terms = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333], gaussian(11, 1.5), []
    for scale in range(5):
        if scale:
            odd = max(x.shape[2] % 2, x.shape[3] % 2)
            x, y = [F.avg_pool2d(F.pad(t, [odd, 0, odd, 0], mode='replicate'), 2) for t in (x, y)]
        structure, contrast = similarity(x, y, kernel)
        terms.append(contrast)
    terms[-1] = structure
    powers = [torch.relu(t) ** w for t, w in zip(terms, weights)]
    return torch.stack(powers).prod(0).mean()


def grid(size):
    axis = lambda n: torch.arange(-(n - 1) / 2, n / 2) / (n - 1) if n % 2 else torch.arange(-n / 2, n / 2) / n
    return torch.meshgrid(axis(size[0]), axis(size[1]), indexing='ij')


def unshift(t):
    return torch.roll(t, [-(n // 2) for n in t.shape], tuple(range(t.dim())))


def log_gabor_filters(size):
    gx, gy = grid(size)
    rho = unshift(torch.sqrt(gx ** 2 + gy ** 2))
    theta = unshift(torch.atan2(-gy, gx))
    lowpass = 1 / (1 + (rho / 0.45) ** 30)
    rho[0, 0] = 1
    radial = []
    for scale in range(4):
        part = torch.exp(-torch.log(rho * 6 * 2 ** scale) ** 2 / (2 * math.log(0.55) ** 2)) * lowpass
        part[0, 0] = 0
        radial.append(part)
    angular = []
    for orientation in range(4):
        angle = orientation * math.pi / 4
        sine = torch.sin(theta) * math.cos(angle) - torch.cos(theta) * math.sin(angle)
        cosine = torch.cos(theta) * math.cos(angle) + torch.sin(theta) * math.sin(angle)
        angular.append(torch.exp(-torch.atan2(sine, cosine).abs() ** 2 / (2 * (math.pi / 4.8) ** 2)))
    return torch.stack(angular)[:, None] * torch.stack(radial)[None]  # (orientation, scale, H, W)


def phase_congruency(lum):
    height, width = lum.shape[-2:]
    eps = torch.finfo(torch.float32).eps
    filters = log_gabor_filters((height, width))
    response = torch.fft.ifft2(torch.fft.fft2(lum[0, 0]) * filters)
    impulse = torch.fft.ifft2(filters).real * math.sqrt(height * width)
    even, odd = response.real, response.imag
    amplitude = torch.sqrt(even ** 2 + odd ** 2)
    sum_even, sum_odd = even.sum(1, keepdim=True), odd.sum(1, keepdim=True)
    norm = torch.sqrt(sum_even ** 2 + sum_odd ** 2) + eps
    mean_even, mean_odd = sum_even / norm, sum_odd / norm
    energy = (even * mean_even + odd * mean_odd - (even * mean_odd - odd * mean_even).abs()).sum(1)
    median = torch.median((amplitude[:, 0] ** 2).flatten(1), dim=1).values
    power = -median / math.log(0.5) / (filters[:, 0] ** 2).sum((-1, -2))
    squares = (impulse ** 2).sum((1, 2, 3))
    cross = sum((impulse[:, s:s + 1] * impulse[:, s + 1:]).sum((1, 2, 3)) for s in range(3))
    tau = torch.sqrt((2 * power * squares + 4 * power * cross) / 2)
    threshold = (tau * math.sqrt(math.pi / 2) + 2 * torch.sqrt((2 - math.pi / 2) * tau ** 2)) / 1.7
    energy = torch.relu(energy - threshold[:, None, None]).sum(0)
    return ((energy + eps) / (amplitude.sum((0, 1)) + eps))[None, None]


def fsim(x, y, chromatic=False):
    x, y = pooled(x * 255), pooled(y * 255)
    yiq = torch.tensor([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
    x, y = [torch.matmul(t.permute(0, 2, 3, 1), yiq.t()).permute(0, 3, 1, 2) for t in (x, y)]
    pc_x, pc_y = phase_congruency(x[:, :1]), phase_congruency(y[:, :1])
    scharr = torch.tensor([[-3., 0., 3.], [-10., 0., 10.], [-3., 0., 3.]]) / 16
    kernels = torch.stack([scharr, scharr.t()])[:, None]
    gradient = lambda t: torch.sqrt((F.conv2d(t, kernels, padding=1) ** 2).sum(1, keepdim=True))
    alike = lambda a, b, c: (2 * a * b + c) / (a ** 2 + b ** 2 + c)
    weight = torch.max(pc_x, pc_y)
    score = alike(gradient(x[:, :1]), gradient(y[:, :1]), 160) * alike(pc_x, pc_y, 0.85) * weight
    if chromatic:
        score = score * torch.abs(alike(x[:, 1:2], y[:, 1:2], 200) * alike(x[:, 2:], y[:, 2:], 200)) ** 0.03
    return score.sum() / weight.sum()


def fsimc(x, y):
    return fsim(x, y, chromatic=True)


def vif(x, y):
    eps, noise = 1e-8, 2.0
    luma = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1) * 255
    x, y = (x * luma).sum(1, keepdim=True), (y * luma).sum(1, keepdim=True)
    above = below = 0
    for scale in range(1, 5):
        size = 2 ** (5 - scale) + 1
        mean = lambda t, kernel=gaussian(size, size / 5)[None, None]: F.conv2d(t, kernel)
        if scale > 1:
            x, y = mean(x)[:, :, ::2, ::2], mean(y)[:, :, ::2, ::2]
        mx, my = mean(x), mean(y)
        sxx, syy, sxy = torch.relu(mean(x * x) - mx * mx), torch.relu(mean(y * y) - my * my), mean(x * y) - mx * my
        gain = sxy / (syy + eps)
        rest = sxx - gain * sxy
        gain, rest = torch.where(syy >= eps, gain, 0 * gain), torch.where(syy >= eps, rest, sxx)
        syy = torch.where(syy >= eps, syy, 0 * syy)
        gain, rest = torch.where(sxx >= eps, gain, 0 * gain), torch.where(sxx >= eps, rest, 0 * rest)
        rest = torch.where(gain >= 0, rest, sxx)
        gain, rest = torch.relu(gain), torch.clamp(rest, min=eps)
        above = above + torch.log10(1 + gain ** 2 * syy / (rest + noise)).sum()
        below = below + torch.log10(1 + syy / noise).sum()
    return (above + eps) / (below + eps)


def psnr(x, y):
    return -10 * torch.log10(((x - y) ** 2).mean() + 1e-8)


METRICS = {f.__name__: f for f in (psnr, ssim, msssim, fsim, fsimc, vif)}


def picture(path, width, height):
    return torch.from_numpy(np.fromfile(path, np.float32).reshape(1, 3, height, width))


def skimage_ssim(test, reference):
    """A second opinion on SSIM's value: scikit-image with the same window, on the pooled pictures in float64."""
    from skimage.metrics import structural_similarity
    a, b = [pooled(t.double())[0].permute(1, 2, 0).numpy() for t in (test, reference)]
    _, full = structural_similarity(a, b, channel_axis=2, data_range=1, gaussian_weights=True, sigma=1.5,
                                    use_sample_covariance=False, full=True)
    return float(full[5:-5, 5:-5].mean())


def main():
    print(json.dumps({'torch': torch.__version__, 'threads': torch.get_num_threads()}), flush=True)
    for line in sys.stdin:
        case = json.loads(line)
        test, reference = [picture(case[key], case['width'], case['height']) for key in ('test', 'reference')]
        with torch.no_grad():
            start = time.perf_counter()
            value = METRICS[case['metric']](test, reference).item()
            milliseconds = (time.perf_counter() - start) * 1000
        answer = {'value': value, 'milliseconds': milliseconds}
        if case.get('skimage'):
            answer['skimage'] = skimage_ssim(test, reference)
        print(json.dumps(answer), flush=True)


if __name__ == '__main__':
    main()
