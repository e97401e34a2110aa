"""One page to look at a results folder, `report.html`: made of records and what they rest on, of nothing else."""
