"""Any file to rows and back: workbooks, CSV, JSON Lines and Parquet, here or at any fsspec URL.

May import `config`, `runtime` and what is below them. Begin with `reader` for files in, and
`writer` for files out; `table` is what lies between.
"""
