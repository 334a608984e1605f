"""Tests of the Estimator runtime."""
