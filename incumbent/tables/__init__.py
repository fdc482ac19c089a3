"""Read and write tables: Excel, CSV, JSON Lines and Parquet, here or at any fsspec URL.

May import `config`, `runtime` and what is below them. Begin with `table_reader` for files
in, and `table_writer` for files out; `table` is what lies between.
"""
