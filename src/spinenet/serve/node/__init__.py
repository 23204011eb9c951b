"""A DICOM node beside a PACS (extra ``network``): takes images, grades complete studies, sends the results on."""

from spinenet.errors import NodeError

try:
    import pynetdicom  # noqa: F401
except ImportError as error:
    raise NodeError("a DICOM node needs pynetdicom: pip install 'spinenet-mri[network]'") from error
