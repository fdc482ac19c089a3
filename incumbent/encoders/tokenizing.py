"""Tokenize texts with Hugging Face's `tokenizers`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def tokenize(
    tokenizer: Tokenizer, texts: Sequence[str], short: Sequence[str], limit: int
) -> tuple[list[NDArray[np.int32]], NDArray[np.int64]]:
    """Tokenize texts that were shortened, all in one call.

    Args:
        tokenizer: Its padding and truncation are set anew.
        texts: As they were (n,).
        short: What is left of each (n,); the same text where nothing was cut.
        limit: Longest input (tokens); of longer ones the head is kept.

    Returns:
        The token ids of each shortened text, special tokens included, and the length of each whole
        text (tokens), with them as well.
    """
    tokenizer.no_padding()
    tokenizer.enable_truncation(limit)
    special = tokenizer.num_special_tokens_to_add(is_pair=False)
    encodings = tokenizer.encode_batch_fast(list(short))
    lengths = np.array(
        [len(e) + sum(len(rest) - special for rest in e.overflowing) for e in encodings],
        dtype=np.int64,
    )
    cut = [row for row, text in enumerate(texts) if short[row] != text]
    if cut:
        tokenizer.no_truncation()
        whole = tokenizer.encode_batch_fast([texts[row] for row in cut])
        lengths[cut] = [len(encoding) for encoding in whole]
    return [np.array(encoding.ids, np.int32) for encoding in encodings], lengths
