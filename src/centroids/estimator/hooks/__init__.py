"""What runs around the steps: hooks, and what they write."""
