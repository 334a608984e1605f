"""Tables of any kind: files, folders, queries and frames, as batches of Arrow."""
