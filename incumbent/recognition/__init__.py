"""Tell what a file is, and where its table stands: by contents, before anything is read.

May import `errors` alone. Each module answers one question: `file_kinds` which format,
`text_encodings` which characters, `csv_dialects` which delimiter, `header_rows` which row, and
`column_names` which column is meant.
"""
