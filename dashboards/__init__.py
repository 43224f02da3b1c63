"""Boards for Grafana, written in Python: words in `design`, boards in `boards`, and what Grafana reads in `generated`."""
