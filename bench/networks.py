"""The networks of experiments/ as a PyTorch user writes them: nn.Modules of standard layers, nothing of Strata in them.

They have to be the identical networks, or a comparison of speed says nothing. bench/run.py holds what `counts` gives (parameters,
running statistics, multiply-adds, outputs of convolutions and linear layers) against what Strata says of its own, and refuses to
go on where one number differs.
"""

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
    """Keras's "same" max pooling of 3x3 windows, two apart: what padding is odd goes below and to the right."""

    def forward(self, x):
        height, width = x.shape[-2:]

        def split(n):
            padding = max((-(-n // 2) - 1) * 2 + 3 - n, 0)
            return padding // 2, padding - padding // 2

        (top, bottom), (left, right) = split(height), split(width)
        return F.max_pool2d(F.pad(x, (left, right, top, bottom), value=float("-inf")), 3, 2)


def googlenet(channels, classes):
    """The deck's GoogLeNet: Keras's padding, normalisation in the stem alone."""

    def layer(i, o, kernel):
        return nn.Sequential(conv(i, o, kernel, bias=True), nn.ReLU(inplace=True))

    def inception(i, b1, r3, b3, r5, b5, pool):
        return Concat(
            layer(i, b1, 1),
            nn.Sequential(layer(i, r3, 1), layer(r3, b3, 3)),
            nn.Sequential(layer(i, r5, 1), layer(r5, b5, 5)),
            nn.Sequential(nn.MaxPool2d(3, 1, 1), layer(i, pool, 1)),
        )

    def norm(o):
        return [nn.BatchNorm2d(o, eps=1e-3, momentum=0.01), nn.ReLU(inplace=True), SamePool()]

    return nn.Sequential(
        conv(channels, 64, 7, 2, bias=True), *norm(64),
        conv(64, 64, 1, bias=True), conv(64, 192, 3, bias=True), *norm(192),
        inception(192, 64, 96, 128, 16, 32, 32),
        inception(256, 128, 128, 192, 32, 96, 64),
        SamePool(),
        inception(480, 192, 96, 208, 16, 48, 64),
        inception(512, 160, 112, 224, 24, 64, 64),
        inception(512, 128, 128, 256, 24, 64, 64),
        inception(512, 112, 144, 288, 32, 64, 64),
        inception(528, 256, 160, 320, 32, 128, 128),
        SamePool(),
        inception(832, 256, 160, 320, 32, 128, 128),
        inception(832, 384, 192, 384, 48, 128, 128),
        head(1024, classes, 0.4),
    )


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


def resnet20(channels, classes, se=None):
    blocks = stages(lambda i, o, stride: basic(i, o, stride, "A", se), 16, (16, 32, 64), (3, 3, 3))
    return nn.Sequential(unit(channels, 16, 3), *blocks, head(64, classes))


def se_resnet20(channels, classes):
    return resnet20(channels, classes, se=4)


def plain20(channels, classes):
    def block(i, o, stride):
        return nn.Sequential(unit(i, o, 3, stride), unit(o, o, 3))

    return nn.Sequential(unit(channels, 16, 3), *stages(block, 16, (16, 32, 64), (3, 3, 3)), head(64, classes))


def resnet18(channels, classes):
    blocks = stages(lambda i, o, stride: basic(i, o, stride, "B"), 16, (16, 32, 64, 128), (2, 2, 2, 2))
    return nn.Sequential(unit(channels, 16, 3), *blocks, head(128, classes))


def resnet50(channels, classes):
    widths = (256, 512, 1024, 2048)
    blocks = stages(lambda i, o, stride: bottleneck(i, o // 4, o, stride), 64, widths, (3, 4, 6, 3))
    return nn.Sequential(unit(channels, 64, 7, 2), nn.MaxPool2d(3, 2, 1), *blocks, head(2048, classes))


def resnext29(channels, classes):
    blocks = stages(lambda i, o, stride: bottleneck(i, o // 8, o, stride, groups=4), 32, (128, 256, 512), (3, 3, 3))
    return nn.Sequential(unit(channels, 32, 3), *blocks, head(512, classes))


class Preact(nn.Module):
    """Normalisation and ReLU in front of the convolutions; a projection takes the normalised input."""

    def __init__(self, i, o, stride, kind):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(i), conv(i, o, 3, stride)
        self.norm2, self.conv2 = nn.BatchNorm2d(o), conv(o, o, 3)
        changes = stride > 1 or i != o
        self.project = conv(i, o, 1, stride) if changes and kind == "B" else None
        self.shorten = Shorten(i, o, stride) if changes and kind == "A" else nn.Identity()

    def forward(self, x):
        y = F.relu(self.norm1(x), inplace=True)
        short = self.project(y) if self.project else self.shorten(x)
        return self.conv2(F.relu(self.norm2(self.conv1(y)), inplace=True)) + short


def preact(channels, classes, widths, repeat, kind):
    blocks = stages(lambda i, o, stride: Preact(i, o, stride, kind), 16, widths, (repeat,) * 3)
    last = [nn.BatchNorm2d(widths[-1]), nn.ReLU(inplace=True)]
    return nn.Sequential(conv(channels, 16, 3), *blocks, *last, head(widths[-1], classes))


def preact20(channels, classes):
    return preact(channels, classes, (16, 32, 64), 3, "A")


def wide_resnet16(channels, classes):
    return preact(channels, classes, (32, 64, 128), 2, "B")


def vgg11(channels, classes):
    layers, i = [], channels
    for o in (32, "pool", 64, "pool", 128, 128, "pool", 256, 256, "pool", 256, 256, "pool"):
        if o == "pool":
            layers.append(nn.MaxPool2d(2, 2))
        else:
            layers.append(unit(i, o, 3, bias=True))
            i = o
    linear = []
    for _ in range(2):
        linear += [nn.Linear(256, 256), nn.ReLU(inplace=True), nn.Dropout(0.5)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), *linear, nn.Linear(256, classes))


def alexnet(channels, classes):
    def layer(i, o, kernel, groups=1):
        return [conv(i, o, kernel, groups=groups, bias=True), nn.ReLU(inplace=True)]

    def lrn():
        return nn.LocalResponseNorm(5, 1e-4, 0.75, 2.0)

    def linear(i):
        return [nn.Linear(i, 512), nn.ReLU(inplace=True), nn.Dropout(0.5)]

    return nn.Sequential(
        *layer(channels, 48, 5), lrn(), nn.MaxPool2d(3, 2),
        *layer(48, 128, 5, 2), lrn(), nn.MaxPool2d(3, 2),
        *layer(128, 192, 3), *layer(192, 192, 3, 2), *layer(192, 128, 3, 2), nn.MaxPool2d(3, 2),
        nn.Flatten(), *linear(128 * 2 * 2), *linear(512), nn.Linear(512, classes),
    )


def nin(channels, classes):
    def pool():
        return [nn.MaxPool2d(3, 2, ceil_mode=True), nn.Dropout(0.2)]

    return nn.Sequential(
        unit(channels, 64, 5), unit(64, 48, 1), unit(48, 32, 1), *pool(),
        unit(32, 96, 5), unit(96, 96, 1), unit(96, 96, 1), *pool(),
        unit(96, 96, 3), unit(96, 96, 1), conv(96, classes, 1, bias=True),
        nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )


class Highway(nn.Module):
    """T(x) H(x) + (1 - T(x)) x"""

    def __init__(self, width):
        super().__init__()
        self.transform, self.gate = conv(width, width, 3, bias=True), conv(width, width, 3, bias=True)

    def forward(self, x):
        gate = self.gate(x).sigmoid()
        return x + gate * (F.relu(self.transform(x)) - x)


def highway19(channels, classes):
    layers, i = [], channels
    for stage, width in enumerate((16, 24, 32)):
        layers += [nn.MaxPool2d(3, 2, ceil_mode=True)] if stage else []
        layers += [conv(i, width, 3, bias=True), nn.ReLU(inplace=True), *(Highway(width) for _ in range(5))]
        i = width
    return nn.Sequential(*layers, head(32, classes))


def mobilenet_v1(channels, classes):
    def separable(i, o, stride):
        return nn.Sequential(
            unit(i, i, 3, stride, groups=i, act=nn.ReLU6, eps=1e-3), unit(i, o, 1, act=nn.ReLU6, eps=1e-3)
        )

    blocks = stages(separable, 16, (32, 64, 128, 256, 512), (1, 2, 2, 6, 2))
    return nn.Sequential(unit(channels, 16, 3, act=nn.ReLU6, eps=1e-3), *blocks, head(512, classes, 0.001))


class Inverted(nn.Module):
    """Inverted residual: MobileNet v2's, and with excitation and stochastic depth EfficientNet's."""

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


def mobilenet_v2(channels, classes):
    rows = ((1, 8, 1, 1), (6, 16, 2, 2), (6, 16, 3, 2), (6, 32, 4, 2), (6, 48, 3, 1), (6, 80, 3, 2), (6, 160, 1, 1))
    blocks, i = [], 16
    for expand, o, repeat, stride in rows:
        for index in range(repeat):
            blocks.append(Inverted(i, o, 3, expand, 1 if index else stride))
            i = o
    last = unit(i, 1280, 1, act=nn.ReLU6)
    return nn.Sequential(unit(channels, 16, 3, act=nn.ReLU6), *blocks, last, head(1280, classes, 0.2))


def efficientnet_b0(channels, classes):
    rows = ((3, 1, 16, 1, 1), (3, 6, 24, 2, 2), (5, 6, 40, 2, 2), (3, 6, 80, 3, 2), (5, 6, 112, 3, 1), (5, 6, 192, 4, 2),
            (3, 6, 320, 1, 1))
    total, blocks, i = sum(row[3] for row in rows), [], 32
    for kernel, expand, o, repeat, stride in rows:
        for index in range(repeat):
            survival = 1.0 - 0.2 * len(blocks) / total
            blocks.append(Inverted(i, o, kernel, expand, 1 if index else stride, nn.SiLU, True, survival))
            i = o
    return nn.Sequential(unit(channels, 32, 3, act=nn.SiLU), *blocks, unit(i, 1280, 1, act=nn.SiLU), head(1280, classes, 0.2))


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


def inception_resnet(channels, classes):
    def chain(*layers):
        return nn.Sequential(*(unit(i, o, kernel, stride, eps=1e-3) for i, o, kernel, stride in layers))

    def pool():
        return nn.MaxPool2d(3, 2, 1)

    a, c = ((1,), (1, 3), (1, 3, 3)), ((1,), (1, (1, 3), (3, 1)))
    b = ((1,), (1, (1, 7), (7, 1)))
    return nn.Sequential(
        unit(channels, 16, 3, eps=1e-3), unit(16, 32, 3, eps=1e-3),
        InceptionResidual(32, 8, 0.17, a),
        Concat(chain((32, 48, 3, 2)), chain((32, 24, 1, 1), (24, 24, 3, 1), (24, 32, 3, 2)), pool()),
        InceptionResidual(112, 16, 0.10, b), InceptionResidual(112, 16, 0.10, b),
        Concat(
            chain((112, 32, 1, 1), (32, 48, 3, 2)), chain((112, 32, 1, 1), (32, 32, 3, 2)),
            chain((112, 32, 1, 1), (32, 32, 3, 1), (32, 32, 3, 2)), pool(),
        ),
        InceptionResidual(224, 24, 0.20, c),
        head(224, classes, 0.2),
    )


# By the names of the experiment files.
NETWORKS = {
    "alexnet": alexnet,
    "efficientnet-b0": efficientnet_b0,
    "googlenet": googlenet,
    "highway19": highway19,
    "inception_resnet": inception_resnet,
    "mobilenet_v1": mobilenet_v1,
    "mobilenet_v2": mobilenet_v2,
    "nin": nin,
    "plain20": plain20,
    "preact20": preact20,
    "resnet18": resnet18,
    "resnet20": resnet20,
    "resnet50": resnet50,
    "resnext29": resnext29,
    "se_resnet20": se_resnet20,
    "vgg11": vgg11,
    "wide_resnet16": wide_resnet16,
}


def counts(network, shape):
    """What `strata bench --worker` says of its network too: four numbers that no two networks share by accident."""
    found = {"macs": 0, "activations": 0}

    def layer(module, _, output):
        weight = module.weight.shape
        found["activations"] += output[0].numel()
        found["macs"] += output[0].numel() * weight[1:].numel()

    kinds = (nn.Conv2d, nn.Linear)
    hooks = [module.register_forward_hook(layer) for module in network.modules() if isinstance(module, kinds)]
    training = network.training
    network.eval()
    with torch.inference_mode():
        network(torch.zeros(1, *shape))
    network.train(training)
    for hook in hooks:
        hook.remove()
    found["params"] = sum(parameter.numel() for parameter in network.parameters())
    found["buffers"] = sum(b.numel() for name, b in network.named_buffers() if "running" in name)
    return found
