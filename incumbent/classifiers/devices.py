"""What the training runs on."""

from __future__ import annotations

import contextlib


def prepare() -> str:
    """Let GPU memory grow as needed, and describe the devices in one line."""
    import os

    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        # Too late once TensorFlow uses the GPU; it then stays as it was set up.
        with contextlib.suppress(RuntimeError):
            tf.config.experimental.set_memory_growth(gpu, enable=True)
    if not gpus:
        return f"no GPU: training on the CPU, {len(os.sched_getaffinity(0))} cores"
    return "training on " + ", ".join(_describe(gpu.name, index) for index, gpu in enumerate(gpus))


def _describe(name: str, index: int) -> str:
    """A GPU's name and its memory in GiB, as TensorFlow sees it."""
    import tensorflow as tf

    gpu = tf.config.list_physical_devices("GPU")[index]
    model = tf.config.experimental.get_device_details(gpu).get("device_name", name)
    logical = next(d for d in _local_devices() if d.name.endswith(f"GPU:{index}"))
    return f"GPU {model} ({logical.memory_limit / 2**30:.1f} GiB)"


def _local_devices() -> list:  # type: ignore[type-arg]
    import tensorflow as tf
    from tensorflow.python.client import device_lib

    # Listing makes the devices, and the first to make them decides how memory is taken.
    options = tf.compat.v1.GPUOptions(allow_growth=True)
    return list(device_lib.list_local_devices(tf.compat.v1.ConfigProto(gpu_options=options)))
