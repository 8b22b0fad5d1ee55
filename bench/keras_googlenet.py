"""The deck's own program: its GoogLeNet in Keras, driven by bench/run.py as bench/peer.py is.

usage: keras_googlenet.py BATCH THREADS
Answers `train N` with the times of N calls of train_on_batch on a prepared batch, and `eval N` with those of test_on_batch.
"""

import json
import os
import sys
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy
import tensorflow
from keras import layers


def conv(x, filters, kernel, stride=1, activation="relu"):
    return layers.Conv2D(filters, kernel, strides=stride, padding="same", activation=activation)(x)


def norm(x):
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    return layers.MaxPooling2D(3, 2, "same")(x)


def inception(x, b1, r3, b3, r5, b5, pool):
    return layers.Concatenate()(
        [
            conv(x, b1, 1),
            conv(conv(x, r3, 1), b3, 3),
            conv(conv(x, r5, 1), b5, 5),
            conv(layers.MaxPooling2D(3, 1, "same")(x), pool, 1),
        ]
    )


def googlenet():
    image = layers.Input((28, 28, 1))
    x = norm(conv(image, 64, 7, 2, None))
    x = norm(conv(conv(x, 64, 1, 1, None), 192, 3, 1, None))
    x = inception(x, 64, 96, 128, 16, 32, 32)
    x = inception(x, 128, 128, 192, 32, 96, 64)
    x = layers.MaxPooling2D(3, 2, "same")(x)
    x = inception(x, 192, 96, 208, 16, 48, 64)
    x = inception(x, 160, 112, 224, 24, 64, 64)
    x = inception(x, 128, 128, 256, 24, 64, 64)
    x = inception(x, 112, 144, 288, 32, 64, 64)
    x = inception(x, 256, 160, 320, 32, 128, 128)
    x = layers.MaxPooling2D(3, 2, "same")(x)
    x = inception(x, 256, 160, 320, 32, 128, 128)
    x = inception(x, 384, 192, 384, 48, 128, 128)
    x = layers.Dropout(0.4)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, layers.Dense(10, activation="softmax")(x))


def peak_mib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))


def main():
    batch, threads = int(sys.argv[1]), int(sys.argv[2])
    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    model = googlenet()
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    random = numpy.random.default_rng(0)
    images = random.random((batch, 28, 28, 1), dtype="float32")
    labels = random.integers(0, 10, batch)

    def say(what):
        print(json.dumps(what), flush=True)

    learned = sum(int(numpy.prod(weight.shape)) for weight in model.trainable_weights)
    buffers = model.count_params() - learned
    about = {"params": learned, "buffers": buffers, "tensorflow": tensorflow.__version__, "keras": keras.__version__}
    say({"name": "googlenet", "batch": batch, "threads": threads, **about})
    for request in sys.stdin:
        phase, count = request.split()
        step, times = model.train_on_batch if phase == "train" else model.test_on_batch, []
        for _ in range(int(count)):
            start = time.perf_counter()
            step(images, labels)
            times.append(1000 * (time.perf_counter() - start))
        say({"phase": phase, "ms": times, "peak_mib": peak_mib()})


if __name__ == "__main__":
    main()
