"""Transfer studies: planned, run, gone on with, reported; one file a step."""
