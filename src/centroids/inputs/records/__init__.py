"""Points in TFRecord files."""
