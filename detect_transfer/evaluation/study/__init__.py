"""Statistics of a transfer study: numbers with intervals and verdicts, from the AP of finished runs."""
