"""What scripts and notebooks ask beyond one evaluation: sites, sets of grades, data, saved predictions."""
