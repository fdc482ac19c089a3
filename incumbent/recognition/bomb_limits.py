"""How much more a file may unpack to than it is: what is beyond both is a bomb."""

SUSPECT_BYTES = 100 << 20
"""Unpacked; a file that unpacks to more is a bomb if it is packed better than `MAX_RATIO`."""
MAX_RATIO = 200
"""Unpacked to packed; real text stays below 20."""
