"""The training process on a device whose memory runs out; run as a module, as `trainer_process` is.

MOST_ROWS go through the embeddings at once; with more, the operation fails as an allocation does,
after AFTER_STEPS steps.
"""

from __future__ import annotations

import os
from typing import Any

from incumbent.kernels import ktrain_import
from incumbent.training import trainer_process

MOST, AFTER = int(os.environ["MOST_ROWS"]), int(os.environ["AFTER_STEPS"])


def main() -> None:
    ktrain_import.load()
    import tensorflow as tf

    from incumbent.kernels import layer_replacement

    steps = 0

    def allocate(rows: Any) -> None:
        nonlocal steps
        steps += 1
        if rows > MOST and steps > AFTER:
            raise MemoryError("OOM when allocating tensor")  # TensorFlow's RESOURCE_EXHAUSTED

    def poor(model: Any, change: Any = layer_replacement.lean) -> None:
        change(model)
        embeddings = model.bert.embeddings
        embed = embeddings.call

        def call(input_ids: Any = None, **others: Any) -> Any:
            with tf.control_dependencies([tf.py_function(allocate, [tf.shape(input_ids)[0]], [])]):
                return embed(input_ids=tf.identity(input_ids), **others)

        embeddings.call = call

    layer_replacement.lean = poor
    trainer_process._main()


if __name__ == "__main__":
    main()
