"""Programs that run beside the tests, with libraries that the tests do without."""

collect_ignore = ["answer_with_tensorflow.py"]
collect_ignore_glob = ["data/*"]
