"""The leaderboard as one HTML file that needs no network."""

from __future__ import annotations

from benchmarks.page.leaderboard import to_html

__all__ = ["to_html"]
