"""What everything else stands on: errors, boxes, images, videos, files, the annotation table and the ledger."""
