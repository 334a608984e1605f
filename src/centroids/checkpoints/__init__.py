"""Checkpoints: ours, whole or not there, and those of TensorFlow."""
