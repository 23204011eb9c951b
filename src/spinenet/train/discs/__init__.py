"""The disc network: a pretrained encoder, T1 and T2 of a disc as one picture, the patient's discs as context."""
