"""NAFNet in PyTorch, for the values that test/nafnet.test.ts matches: writes a small one's weights, as its authors save them, and what it answers.

  /usr/bin/python3 bench/peers/nafnet_torch.py test/fixtures/networks     # nafnet_width8.pth, nafnet_width8.safetensors

Written after megvii-research/NAFNet (MIT), basicsr/models/archs/NAFNet_arch.py: the same names and, with the
same weights, the same output to 4e-7 as a transcription of that file and of local_arch.py's exact pooling (checked once, PyTorch 1.13).
"""
import json
import struct
import sys
from pathlib import Path

import torch
from torch import nn


class LayerNorm2d(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        y = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, unbiased=False) + 1e-6).sqrt()
        return y * self.weight[:, None, None] + self.bias[:, None, None]


def gate(x):
    a, b = x.chunk(2, dim=1)
    return a * b


class LocalMean(nn.Module):
    """Means over windows, fewer where they would pass the edge, the outermost repeated beyond: local_arch.py's AvgPool2d."""

    def __init__(self, window):
        super().__init__()
        self.window = window

    def forward(self, x):
        h, w = x.shape[2:]
        kh, kw = min(h, self.window), min(w, self.window)
        inside = nn.functional.avg_pool2d(x, (kh, kw), stride=1)
        return nn.functional.pad(inside, ((kw - 1) // 2, kw // 2, (kh - 1) // 2, kh // 2), mode="replicate")


class Block(nn.Module):
    def __init__(self, c, window):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = nn.Conv2d(c, 2 * c, 1), nn.Conv2d(2 * c, 2 * c, 3, padding=1, groups=2 * c), nn.Conv2d(c, c, 1)
        self.sca = nn.Sequential(LocalMean(window), nn.Conv2d(c, c, 1))
        self.conv4, self.conv5 = nn.Conv2d(c, 2 * c, 1), nn.Conv2d(c, c, 1)
        self.norm1, self.norm2 = LayerNorm2d(c), LayerNorm2d(c)
        self.beta, self.gamma = nn.Parameter(torch.zeros(1, c, 1, 1)), nn.Parameter(torch.zeros(1, c, 1, 1))

    def forward(self, x):
        gated = gate(self.conv2(self.conv1(self.norm1(x))))
        y = x + self.conv3(gated * self.sca(gated)) * self.beta
        return y + self.conv5(gate(self.conv4(self.norm2(y)))) * self.gamma


class NAFNet(nn.Module):
    def __init__(self, width, encoder, middle, decoder, window):
        super().__init__()
        self.intro, self.ending = nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width, 3, 3, padding=1)
        self.encoders = nn.ModuleList(nn.Sequential(*[Block(width * 2**i, window // 2**i) for _ in range(n)]) for i, n in enumerate(encoder))
        self.downs = nn.ModuleList(nn.Conv2d(width * 2**i, width * 2 ** (i + 1), 2, 2) for i in range(len(encoder)))
        self.middle_blks = nn.Sequential(*[Block(width * 2 ** len(encoder), window // 2 ** len(encoder)) for _ in range(middle)])
        self.ups = nn.ModuleList(nn.Sequential(nn.Conv2d(width * 2**i, width * 2 ** (i + 1), 1, bias=False), nn.PixelShuffle(2)) for i in range(len(encoder), 0, -1))
        self.decoders = nn.ModuleList(nn.Sequential(*[Block(width * 2 ** (len(encoder) - 1 - i), window // 2 ** (len(encoder) - 1 - i)) for _ in range(n)]) for i, n in enumerate(decoder))

    def forward(self, x):
        y, skips = self.intro(x), []
        for encoder, down in zip(self.encoders, self.downs):
            skips.append(encoder(y))
            y = down(skips[-1])
        y = self.middle_blks(y)
        for decoder, up, skip in zip(self.decoders, self.ups, reversed(skips)):
            y = decoder(up(y) + skip)
        return self.ending(y) + x


def save_safetensors(path, tensors):
    header, at = {}, 0
    for name, value in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [at, at + 4 * value.numel()]}
        at += 4 * value.numel()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(value.detach().contiguous().numpy().tobytes() for value in tensors.values()))


def main(folder):
    torch.manual_seed(2022)
    network = NAFNet(8, [1, 2], 1, [2, 1], window=22)
    for name, value in network.named_parameters():
        if name.split(".")[-1] in ("beta", "gamma"):  # zeros would leave the blocks out
            nn.init.normal_(value, std=0.5)
    blurry = torch.rand(2, 3, 20, 28)
    output = network(blurry)
    output.square().mean().backward()
    torch.save({"params": network.state_dict()}, folder / "nafnet_width8.pth")
    save_safetensors(folder / "nafnet_width8.safetensors", {
        "input": blurry, "output": output,
        **{f"weight.{name}": value for name, value in network.state_dict().items()}, **{f"grad.{name}": value.grad for name, value in network.named_parameters()},
    })


if __name__ == "__main__":
    main(Path(sys.argv[1]))
