"""Choose the devices that a training runs on, and its precision."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from incumbent.config import TrainingConfig

_SHARED = ("transformer", "distilbert", "blend")
"""Models that heed `training.precision` and `training.devices`."""
# NVIDIA's compute capabilities from which tensor cores take each type (TensorFlow's guide to mixed
# precision; NVIDIA's A100 white paper for bfloat16). A CPU with avx512_bf16 does half as many
# operations a second in bfloat16 as in float32: docs/decisions/0010-the-training-step.md.
_BFLOAT16, _FLOAT16 = (8, 0), (7, 0)


@contextlib.contextmanager
def chosen(config: TrainingConfig) -> Iterator[Any]:
    """Build and compile a model for the devices and in the precision that the config asks for.

    Yields:
        The `tf.distribute.Strategy`, in whose scope the block is; its `num_replicas_in_sync`
        devices share each batch.
    """
    import tensorflow as tf

    if config.model not in _SHARED:
        yield tf.distribute.get_strategy()
        return
    devices = several() if config.devices == "auto" else []
    one = tf.distribute.get_strategy()
    strategy = tf.distribute.MirroredStrategy(devices) if len(devices) > 1 else one
    policy = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy(precision(config.precision, _capabilities()))
    try:
        with strategy.scope():
            yield strategy
    finally:
        tf.keras.mixed_precision.set_global_policy(policy)


def several() -> list[str]:
    """The devices that may share a batch: all GPUs."""
    import tensorflow as tf

    return [device.name for device in tf.config.list_logical_devices("GPU")]


def precision(wanted: str, capabilities: Sequence[tuple[int, int]]) -> str:
    """The Keras policy for what is wanted, given the GPUs' compute capabilities, if any."""
    if wanted != "auto":
        return wanted
    least = min(capabilities, default=(0, 0))
    if least >= _BFLOAT16:
        return "mixed_bfloat16"
    return "mixed_float16" if least >= _FLOAT16 else "float32"


def _capabilities() -> list[tuple[int, int]]:
    import tensorflow as tf

    details = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU"))
    return [found.get("compute_capability", (0, 0)) for found in details]


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
