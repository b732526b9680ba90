"""The metrics of the domains and the diagnoses, one file each."""
