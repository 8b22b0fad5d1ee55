"""Building blocks of the networks in bench/networks.py: standard PyTorch layers, blocks as in the papers."""

import torch
import torch.nn.functional as F
from torch import nn


def conv(i, o, kernel, stride=1, groups=1, bias=False):
    """A convolution that keeps the map's size (or divides it by the stride): padding of half the kernel."""
    padding = tuple(k // 2 for k in kernel) if isinstance(kernel, tuple) else kernel // 2
    return nn.Conv2d(i, o, kernel, stride, padding, groups=groups, bias=bias)


def unit(i, o, kernel, stride=1, groups=1, act=nn.ReLU, eps=1e-5, bias=False):
    """Convolution, normalisation, non-linearity."""
    layers = [conv(i, o, kernel, stride, groups, bias), nn.BatchNorm2d(o, eps=eps)]
    return nn.Sequential(*layers, act(inplace=True)) if act else nn.Sequential(*layers)


def head(channels, classes, dropout=0.0):
    """Global average, dropout, one linear layer."""
    drop = [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), *drop, nn.Linear(channels, classes))


class Concat(nn.Module):
    """Branches on one input, their outputs concatenated."""

    def __init__(self, *branches):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


class SamePool(nn.Module):
    """Keras's "same" max pooling, 3x3 with stride 2: odd padding goes to the bottom and right."""

    def forward(self, x):
        height, width = x.shape[-2:]

        def split(n):
            padding = max((-(-n // 2) - 1) * 2 + 3 - n, 0)
            return padding // 2, padding - padding // 2

        (top, bottom), (left, right) = split(height), split(width)
        return F.max_pool2d(F.pad(x, (left, right, top, bottom), value=float("-inf")), 3, 2)


class Shorten(nn.Module):
    """Shortcut "A" of ResNet: every second pixel, new channels zero."""

    def __init__(self, i, o, stride):
        super().__init__()
        self.stride, self.more = stride, o - i

    def forward(self, x):
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))


class Excite(nn.Module):
    """Squeeze-and-excitation."""

    def __init__(self, channels, inner, act=nn.ReLU, bias=False):
        super().__init__()
        self.fc1, self.act = nn.Conv2d(channels, inner, 1, bias=bias), act(inplace=True)
        self.fc2 = nn.Conv2d(inner, channels, 1, bias=bias)

    def forward(self, x):
        return x * self.fc2(self.act(self.fc1(F.adaptive_avg_pool2d(x, 1)))).sigmoid()


class Residual(nn.Module):
    """relu(body(x) + shortcut(x))"""

    def __init__(self, body, shortcut=None):
        super().__init__()
        self.body, self.shortcut = body, shortcut or nn.Identity()

    def forward(self, x):
        return F.relu(self.body(x) + self.shortcut(x), inplace=True)


def shortcut(kind, i, o, stride):
    if i == o and stride == 1:
        return None
    return Shorten(i, o, stride) if kind == "A" else unit(i, o, 1, stride, act=None)


def basic(i, o, stride, kind, se=None):
    excite = [Excite(o, o // se)] if se else []
    return Residual(nn.Sequential(unit(i, o, 3, stride), unit(o, o, 3, act=None), *excite), shortcut(kind, i, o, stride))


def bottleneck(i, inner, o, stride, groups=1):
    body = nn.Sequential(unit(i, inner, 1), unit(inner, inner, 3, stride, groups), unit(inner, o, 1, act=None))
    return Residual(body, shortcut("B", i, o, stride))


def stages(block, i, widths, repeats, first_stride=1):
    """Blocks `block(i, o, stride)`; every stage but the first halves the map."""
    blocks = []
    for stage, (o, repeat) in enumerate(zip(widths, repeats)):
        for index in range(repeat):
            stride = 1 if index else (2 if stage else first_stride)
            blocks.append(block(i, o, stride))
            i = o
    return blocks


class Preact(nn.Module):
    """Normalisation and ReLU before the convolutions; a projection takes the normalised input.

    `activated`: the input is, so the first convolution has neither in front.
    """

    def __init__(self, i, o, stride, kind, activated=False):
        super().__init__()
        self.norm1, self.conv1 = None if activated else nn.BatchNorm2d(i), conv(i, o, 3, stride)
        self.norm2, self.conv2 = nn.BatchNorm2d(o), conv(o, o, 3)
        changes = stride > 1 or i != o
        self.project = conv(i, o, 1, stride) if changes and kind == "B" else None
        self.shorten = Shorten(i, o, stride) if changes and kind == "A" else nn.Identity()

    def forward(self, x):
        y = F.relu(self.norm1(x), inplace=True) if self.norm1 else x
        short = self.project(y) if self.project else self.shorten(x)
        return self.conv2(F.relu(self.norm2(self.conv1(y)), inplace=True)) + short


class Highway(nn.Module):
    """T(x) H(x) + (1 - T(x)) x"""

    def __init__(self, width):
        super().__init__()
        self.transform, self.gate = conv(width, width, 3, bias=True), conv(width, width, 3, bias=True)

    def forward(self, x):
        gate = self.gate(x).sigmoid()
        return x + gate * (F.relu(self.transform(x)) - x)


class Inverted(nn.Module):
    """Inverted residual: MobileNet v2's, and EfficientNet's with squeeze-and-excitation and stochastic depth."""

    def __init__(self, i, o, kernel, expand, stride, act=nn.ReLU6, se=False, survival=1.0):
        super().__init__()
        inner = i * expand
        layers = [unit(i, inner, 1, act=act)] if expand > 1 else []
        layers.append(unit(inner, inner, kernel, stride, groups=inner, act=act))
        if se:
            layers.append(Excite(inner, max(i // 4, 1), act, bias=True))
        self.body = nn.Sequential(*layers, unit(inner, o, 1, act=None))
        self.residual, self.survival = stride == 1 and i == o, survival

    def forward(self, x):
        y = self.body(x)
        if not self.residual:
            return y
        if self.training and self.survival < 1.0:
            kept = torch.empty(x.shape[0], 1, 1, 1, dtype=y.dtype, device=y.device).bernoulli_(self.survival)
            y = y * kept.div_(self.survival)
        return x + y


class InceptionResidual(nn.Module):
    """relu(x + scale · expansion(branches(x)))"""

    def __init__(self, channels, width, scale, kernels):
        super().__init__()
        branches = []
        for branch in kernels:
            ins = (channels,) + (width,) * (len(branch) - 1)
            branches.append(nn.Sequential(*(unit(i, width, kernel, eps=1e-3) for i, kernel in zip(ins, branch))))
        self.branches = Concat(*branches)
        self.expand, self.scale = nn.Conv2d(width * len(kernels), channels, 1), scale

    def forward(self, x):
        return F.relu(x + self.scale * self.expand(self.branches(x)), inplace=True)
