"""Benchmarks: the product's work at any size, against the raw limit on the same server in the same run.

`python manage.py bench NAME --profiles N --json` runs one of them on databases of its own; see README.md here.
"""

from __future__ import annotations
