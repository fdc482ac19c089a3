"""Find test rows whose text stands in the training rows too, word for word or nearly (MinHash).

With each model go fingerprints of its training rows, which hold no text, so that a champion
trained long ago and elsewhere can still be asked. Near duplicates are found by MinHash (Broder
1997, *On the resemblance and containment of documents*) over bigrams of words; see
docs/decisions/0007-near-duplicates.md.

Columns of the file: `exact` (uint64), `signature` (128 little-endian uint32 as one binary) and
`label` (uint64), which files of earlier releases lack.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from incumbent.data import canonical_text, label_spellings
from incumbent.errors import RegistryError

# One word changed in 20 leaves 17 of 21 bigrams shared, or 0.81; the estimate of that strays by
# 0.035 (one standard deviation), so 0.8 would miss a third of them.
THRESHOLD = 0.7

_PERMUTATIONS = 128
_SCHEME = {"seed": 1, "scheme": "affine32"}
# What fingerprints must have in common to be compared. `version` counts changes that the rest
# does not show: of `datasets.fold`, of what a word is, of how two words make a bigram.
_PARAMETERS = {
    "version": 1,
    "exact": "blake2b-64 of the folded text",
    "shingles": "word bigrams",
    "permutations": _PERMUTATIONS,
    **_SCHEME,
}
_METADATA_KEY = b"incumbent.fingerprints"

_WORD = re.compile(r"\w+")
_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: tells "a b" from "b a"
_REMEMBERED_WORDS = 2**17
# Bigrams hashed at once: 128 permutations of them take 4 MB.
_HASHED_AT_ONCE = 8192
# Test rows indexed at once: the index takes some 15 kB a row.
_INDEXED_AT_ONCE = 10_000
# Bands of fewer rows make candidates of unrelated texts.
_NARROWEST_BAND = 3


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """What is kept of n texts: enough to find copies of them, and no text."""

    exact: NDArray[np.uint64]
    """Hashes of the folded texts (n,)."""
    signatures: NDArray[np.uint32]
    """MinHash signatures of their bigrams (n, 128)."""
    labels: NDArray[np.uint64] | None = None
    """Hashes of their labels (n,), if they are kept: see `label_hashes`."""

    def __len__(self) -> int:
        return len(self.exact)


@dataclass(frozen=True, eq=False)
class Leakage:
    """Which test rows stand among training rows; no row is both `exact` and `near`."""

    exact: NDArray[np.bool_]
    """The text is the same but for case and white space (n_test,)."""
    near: NDArray[np.bool_]
    """The text is nearly the same (n_test,)."""

    @property
    def found(self) -> NDArray[np.bool_]:
        """Either of them (n_test,)."""
        return self.exact | self.near


def fingerprint(texts: Sequence[str], labels: Sequence[str] | None = None) -> Fingerprints:
    """Fingerprint texts and their labels, alike in every process and on every machine."""
    from datasketch import MinHash  # takes 2 s, most of it SciPy's

    exact = np.empty(len(texts), dtype=np.uint64)
    signatures = np.empty((len(texts), _PERMUTATIONS), dtype=np.uint32)
    # `int`, because the shingles come hashed.
    blank = MinHash(num_perm=_PERMUTATIONS, hashfunc=int, **_SCHEME)
    hash_word = functools.lru_cache(_REMEMBERED_WORDS)(_hash)
    for row, text in enumerate(texts):
        folded = canonical_text.fold(text)
        shingles = _shingles(folded, hash_word)
        minhash = blank.copy()
        for start in range(0, len(shingles), _HASHED_AT_ONCE):
            minhash.update_batch(shingles[start : start + _HASHED_AT_ONCE].tolist())
        exact[row] = _hash(folded)
        signatures[row] = minhash.hashvalues
    return Fingerprints(exact, signatures, None if labels is None else label_hashes(labels))


def hashes(texts: Iterable[str]) -> NDArray[np.uint64]:
    """Hashes of the folded texts (n,), as `Fingerprints.exact` has them."""
    return np.fromiter((_hash(canonical_text.fold(text)) for text in texts), np.uint64)


def label_hashes(labels: Iterable[str]) -> NDArray[np.uint64]:
    """Hashes of labels (n,), the same for two spellings of one."""
    known = functools.cache(lambda label: _hash(label_spellings.key(label)))
    return np.fromiter(map(known, labels), np.uint64)


def leaked(test: Fingerprints, train: Fingerprints, threshold: float = THRESHOLD) -> Leakage:
    """Find the test rows that stand among the training rows, exactly or nearly.

    Args:
        test: Fingerprints of the test rows.
        train: Fingerprints of the training rows.
        threshold: Least estimated Jaccard similarity of two texts' bigrams (fraction, above 0)
            to call one nearly the other. From 0.68 on no pair is missed whose estimate reaches
            it; at 0.5 some 0.4 % are.
    """
    exact = np.isin(test.exact, train.exact)
    near = np.zeros(len(test), dtype=np.bool_)
    others = np.flatnonzero(~exact)
    for start in range(0, len(others), _INDEXED_AT_ONCE):
        rows = others[start : start + _INDEXED_AT_ONCE]
        near[rows] = _near(test.signatures[rows], train.signatures, threshold)
    return Leakage(exact, near)


def save(fingerprints: Fingerprints, path: Path) -> None:
    """Write fingerprints to a Parquet file of some 470 bytes a row, atomically."""
    signatures = [row.tobytes() for row in fingerprints.signatures.astype("<u4")]
    table = pa.table(
        {
            "exact": fingerprints.exact,
            "signature": pa.array(signatures, pa.binary(4 * _PERMUTATIONS)),
            **({} if fingerprints.labels is None else {"label": fingerprints.labels}),
        }
    ).replace_schema_metadata({_METADATA_KEY: json.dumps(_PARAMETERS)})
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    pq.write_table(table, partial, compression="zstd", use_dictionary=False)  # nothing repeats
    partial.replace(path)


def load(path: Path) -> Fingerprints:
    """Read what `save` wrote.

    Raises:
        RegistryError: if the file cannot be read, or holds fingerprints made in another way.
    """
    try:
        table = pq.read_table(path)
    except (OSError, ValueError) as error:
        raise RegistryError(
            f"The fingerprints {path} cannot be read ({error}). Make them anew from the model's "
            "training data, or retrain the model."
        ) from None
    found = (table.schema.metadata or {}).get(_METADATA_KEY, b"{}").decode()
    if json.loads(found) != _PARAMETERS:
        raise RegistryError(
            f"{path} holds fingerprints made with {found}, and only those made with "
            f"{json.dumps(_PARAMETERS)} can be compared here. Make them anew from the model's "
            "training data, or retrain the model."
        )
    signatures = np.frombuffer(b"".join(table["signature"].to_pylist()), dtype="<u4")
    return Fingerprints(
        table["exact"].to_numpy(),
        signatures.reshape(-1, _PERMUTATIONS).astype(np.uint32, copy=False),
        table["label"].to_numpy() if "label" in table.column_names else None,
    )


def _shingles(folded: str, hash_word: Callable[[str], int]) -> NDArray[np.uint32]:
    """Hashes of a text's bigrams (n_words - 1,), or of its one word.

    Words are runs of letters and digits in Unicode's compatible form; a text without any, as
    "?!", is one word.
    """
    words = _WORD.findall(unicodedata.normalize("NFKC", folded)) or [folded]
    hashes = np.fromiter(map(hash_word, words), np.uint64, len(words))
    if len(words) > 1:
        hashes = hashes[:-1] * _ODD + hashes[1:]  # modulo 2^64
    return (hashes >> np.uint64(32)).astype(np.uint32)


def _hash(text: str) -> int:
    """64 bits that are the same everywhere, unlike those of `hash`."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _near(
    test: NDArray[np.uint32], train: NDArray[np.uint32], threshold: float
) -> NDArray[np.bool_]:
    """Which signatures (n_test, 128) agree with any of (n_train, 128) in so large a fraction.

    The index holds the test rows, so that memory does not grow with the training rows. It splits
    signatures into more bands than may differ: one band at least is then the same (pigeonhole).
    """
    from datasketch import LeanMinHash, MinHashLSH

    needed = math.ceil(threshold * _PERMUTATIONS)
    bands = max(_PERMUTATIONS - needed + 1, 2)  # the library wants two
    width = max(_PERMUTATIONS // bands, _NARROWEST_BAND)
    index = MinHashLSH(num_perm=_PERMUTATIONS, params=(_PERMUTATIONS // width, width))
    for row, signature in enumerate(test):
        index.insert(row, LeanMinHash(hashvalues=signature, **_SCHEME))
    near = np.zeros(len(test), dtype=np.bool_)
    for signature in train:
        candidates = np.array(index.query(LeanMinHash(hashvalues=signature, **_SCHEME)), np.int64)
        agreeing = np.count_nonzero(test[candidates] == signature, axis=1)
        for row in candidates[agreeing >= needed].tolist():
            near[row] = True
            index.remove(row)  # found once is enough, and copies by the thousand would cost time
    return near
