"""Many studies: the batch, a cluster, a DICOM node, and the folder that results go to."""
