"""What is said of predictions with truth: collecting, evaluating, comparing, judging."""
