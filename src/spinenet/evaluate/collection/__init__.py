"""From labelled studies to predictions with truth: exported bundles on patients whom they have not seen."""
