"""The GAN training step in plain PyTorch, as a user of PyTorch would write it: bench/train-step.ts measures it against unshake's.

Started with one JSON argument: {"variant", "rate", "batch", "crop", "ndf", "pixelWeight", "lr", "betas", "threads", "mode"}; mode is
"fp32" (contiguous memory) or "bf16" (autocast, channels-last). Answers each line "step" on stdin with {"seconds", "losses"}, and the
end of stdin with {"peakMiB"}; the first line names the version, or says {"unavailable"} where this PyTorch can't compute in that mode here.
"""
import json
import math
import resource
import sys
import time
from contextlib import nullcontext

import torch
import torch.nn as nn
import torch.nn.functional as F


class PaperLayer(nn.Module):
    def __init__(self, channels, growth, width, dilation):
        super().__init__()
        self.c1, self.n1 = nn.Conv2d(channels, width, 1), nn.BatchNorm2d(width)
        self.c2, self.n2 = nn.Conv2d(width, growth, 3, padding=dilation, dilation=dilation), nn.BatchNorm2d(growth)

    def forward(self, x):
        h = self.n1(self.c1(F.leaky_relu(x, 0.2)))
        return torch.cat([x, self.n2(self.c2(F.leaky_relu(h, 0.2)))], 1)


class PaperGenerator(nn.Module):
    """Deep Generative Filter as its authors released it."""

    def __init__(self, rate):
        super().__init__()
        width = 4 * rate
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.dense = nn.Sequential(*[PaperLayer(width + rate * k, rate, width, 2 if k % 2 else 1) for k in range(10)])
        self.tail, self.tn = nn.Conv2d(width + rate * 10, width, 1), nn.BatchNorm2d(width)
        self.dropout = nn.Dropout(0.5)
        self.o1, self.o2 = nn.Conv2d(width, rate, 3, padding=1), nn.Conv2d(rate, 3, 3, padding=1)

    def forward(self, x):
        head = self.head(x)
        h = self.dropout(self.tn(self.tail(F.leaky_relu(self.dense(head), 0.2)))) + head
        return torch.tanh(self.o2(F.leaky_relu(self.o1(h), 0.2)))


class ReportLayer(nn.Module):
    def __init__(self, channels, rate, dilation):
        super().__init__()
        self.n0, self.c1 = nn.InstanceNorm2d(channels), nn.Conv2d(channels, 4 * rate, 1, bias=False)
        self.n1, self.c2 = nn.InstanceNorm2d(4 * rate), nn.Conv2d(4 * rate, rate, 3, padding=dilation, dilation=dilation, bias=False)
        self.n2 = nn.InstanceNorm2d(rate)

    def forward(self, x):
        return self.n2(self.c2(self.n1(self.c1(F.leaky_relu(self.n0(x), 0.2)))))


class ReportGenerator(nn.Module):
    """The report's variant: instance norm, dilations 2, 3, 2 in layers 3, 5, 7; the head concatenated to the tail."""

    def __init__(self, rate):
        super().__init__()
        dilations = {2: 2, 4: 3, 6: 2}
        self.head = nn.Conv2d(3, 4 * rate, 3, padding=1)
        self.layers = nn.ModuleList(ReportLayer((4 + k) * rate, rate, dilations.get(k, 1)) for k in range(10))
        self.tail, self.tn = nn.Conv2d(rate, rate, 1, bias=False), nn.InstanceNorm2d(rate)
        self.o1, self.act = nn.Conv2d(5 * rate, rate, 3, padding=1, bias=False), nn.PReLU(rate)
        self.o2 = nn.Conv2d(rate, 3, 3, padding=1, bias=False)

    def forward(self, x):
        h = head = self.head(x)
        for layer in self.layers[:-1]:
            h = torch.cat([h, layer(h)], 1)
        tail = self.tn(self.tail(F.leaky_relu(self.layers[-1](h), 0.2)))
        return torch.tanh(self.o2(self.act(self.o1(torch.cat([head, tail], 1)))))


class PatchDiscriminator(nn.Module):
    """The paper's: blurry image and candidate, stacked, to a map of logits."""

    def __init__(self, ndf):
        super().__init__()
        channels, layers = [6, ndf, 2 * ndf, 4 * ndf, 8 * ndf], []
        for i in range(4):
            layers.append(nn.Conv2d(channels[i], channels[i + 1], 4, stride=2, padding=1))
            if i > 0:
                layers.append(nn.BatchNorm2d(channels[i + 1]))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        self.net = nn.Sequential(*layers, nn.Conv2d(channels[4], 1, 4, padding=1))

    def forward(self, blur, candidate):
        return self.net(torch.cat([blur, candidate], 1))


class Trainer:
    def __init__(self, case):
        self.case, self.half = case, case['mode'] == 'bf16'
        self.layout = torch.channels_last if self.half else torch.contiguous_format
        make = {'paper': PaperGenerator, 'report': ReportGenerator}[case['variant']]
        self.generator = make(case['rate']).to(memory_format=self.layout)
        self.discriminator = PatchDiscriminator(case['ndf']).to(memory_format=self.layout)
        adam = lambda network: torch.optim.Adam(network.parameters(), lr=case['lr'], betas=case['betas'])
        self.g_optimizer, self.d_optimizer = adam(self.generator), adam(self.discriminator)

    def autocast(self):
        return torch.autocast('cpu', dtype=torch.bfloat16) if self.half else nullcontext()

    def images(self, pixels):
        """N, H, W, 3 bytes to N, 3, H, W in [-1, 1]."""
        return (pixels.permute(0, 3, 1, 2).float() / 127.5 - 1).contiguous(memory_format=self.layout)

    def step(self, blur, sharp):
        blur, sharp, bce = self.images(blur), self.images(sharp), F.binary_cross_entropy_with_logits
        with self.autocast():
            generated = self.generator(blur)
            real, fake = self.discriminator(blur, sharp), self.discriminator(blur, generated.detach())
        real, fake = real.float(), fake.float()
        d_loss = 0.5 * (bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake)))
        self.d_optimizer.zero_grad(set_to_none=True)
        d_loss.backward()
        self.d_optimizer.step()

        self.discriminator.requires_grad_(False)
        with self.autocast():
            fake = self.discriminator(blur, generated)
        fake = fake.float()
        l1 = F.l1_loss(generated.float(), sharp)
        g_loss = self.case['pixelWeight'] * l1 + bce(fake, torch.ones_like(fake))
        self.g_optimizer.zero_grad(set_to_none=True)
        g_loss.backward()
        self.g_optimizer.step()
        self.discriminator.requires_grad_(True)
        losses = {'discriminator': d_loss.item(), 'generator': g_loss.item()}
        return {name: loss if math.isfinite(loss) else None for name, loss in losses.items()}  # as JSON.stringify does


def main():
    case = json.loads(sys.argv[1])
    torch.set_num_threads(case['threads'])
    torch.manual_seed(1)
    if case['mode'] == 'bf16':
        try:  # without AVX-512, oneDNN has no bfloat16
            F.conv2d(torch.zeros(1, 3, 8, 8, dtype=torch.bfloat16), torch.zeros(4, 3, 3, 3, dtype=torch.bfloat16))
        except RuntimeError as error:
            print(json.dumps({'unavailable': str(error).splitlines()[0]}), flush=True)
            return
    trainer = Trainer(case)
    count = lambda network: sum(p.numel() for p in network.parameters())
    print(json.dumps({'version': torch.__version__, 'precision': case['mode'],
                      'parameters': count(trainer.generator) + count(trainer.discriminator)}), flush=True)
    for line in sys.stdin:
        blur, sharp = [torch.randint(0, 256, (case['batch'], case['crop'], case['crop'], 3), dtype=torch.uint8) for _ in range(2)]
        start = time.perf_counter()
        losses = trainer.step(blur, sharp)
        print(json.dumps({'seconds': time.perf_counter() - start, 'losses': losses}), flush=True)
    print(json.dumps({'peakMiB': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}), flush=True)


if __name__ == '__main__':
    main()
