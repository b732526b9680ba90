"""Turn native annotations into a fine-tuned detector, with the evidence of what the transfer was worth.

Importing the package loads neither torch nor ultralytics.
"""

__version__ = "0.1.0"
