"""What runs beside the steps: hooks, and what they write."""
