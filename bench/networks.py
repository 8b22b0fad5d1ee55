"""The networks of experiments/ as a PyTorch user would write them: nn.Modules of standard layers, independent of Strata.

A comparison of speed is meaningful only for identical networks. bench/run.py compares the result of `counts` (parameters,
running statistics, multiply-adds, outputs of convolutions and linear layers) with Strata's, and refuses to run if any
number differs.
"""

import torch
from torch import nn

from blocks import (
    Concat, Highway, InceptionResidual, Inverted, Preact, SamePool, basic, bottleneck, conv, head, stages, unit,
)


def googlenet(channels, classes):
    """The deck's GoogLeNet: Keras's padding, normalisation only in the stem."""

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


def smoke(channels, classes):
    return resnet20(channels, classes, kind="B", repeats=1)


def resnet20(channels, classes, se=None, kind="A", repeats=3):
    blocks = stages(lambda i, o, stride: basic(i, o, stride, kind, se), 16, (16, 32, 64), 3 * (repeats,))
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


def preact(stem, classes, widths, repeat, kind, activated=False):
    blocks = stages(lambda i, o, stride: Preact(i, o, stride, kind), 16, widths, (repeat,) * 3)
    if activated:
        blocks[0] = Preact(16, widths[0], 1, kind, activated=True)
    last = [nn.BatchNorm2d(widths[-1]), nn.ReLU(inplace=True)]
    return nn.Sequential(stem, *blocks, *last, head(widths[-1], classes))


def preact20(channels, classes):
    return preact(unit(channels, 16, 3), classes, (16, 32, 64), 3, "A", activated=True)


def wide_resnet16(channels, classes):
    return preact(conv(channels, 16, 3), classes, (32, 64, 128), 2, "B")


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
        return nn.LocalResponseNorm(5, 5e-4, 0.75, 2.0)

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


def torchvision(name, **options):
    """torchvision's own network, which experiments/imagenet has under the same name."""

    def network(_channels, classes):
        from torchvision import models

        return getattr(models, name)(num_classes=classes, **options)

    return network


# Keys are the names of the experiment files.
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
    "smoke": smoke,
    "vgg11": vgg11,
    "wide_resnet16": wide_resnet16,
    "imagenet/resnet50": torchvision("resnet50"),
    "imagenet/googlenet": torchvision("googlenet", aux_logits=False, init_weights=False),
    "imagenet/efficientnet_b0": torchvision("efficientnet_b0"),
}


def counts(network, shape):
    """The four numbers that `strata bench --worker` reports too; different networks do not agree in all of them by chance."""
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
