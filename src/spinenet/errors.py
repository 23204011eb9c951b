"""Errors a user may be shown: one line that says what, where and what to do."""


class SpinenetError(Exception):
    """Base of every error with a message fit for a user; everything else is a fault of ours."""


class ReadError(SpinenetError):
    """A file or folder could not be turned into image series."""


class StudyError(SpinenetError):
    """A study was read but cannot be graded: wrong plane or body part, too few levels, sacrum not in view."""


class BundleError(SpinenetError):
    """A model bundle is missing, altered, or of another label space."""


class DatasetError(SpinenetError):
    """A training data set does not have the layout or the values it should have."""


class ConfigError(SpinenetError):
    """A configuration has a wrong key, type or value."""


class OutputError(SpinenetError):
    """An output folder holds something that these results cannot be added to, or a result is not one of ours."""


class PredictionsError(SpinenetError):
    """A table of predictions does not have the columns, keys or values that an evaluation needs."""


class ClusterError(SpinenetError):
    """A cluster cannot be used."""


class NodeError(SpinenetError):
    """A DICOM node cannot be started, or another one cannot be reached."""
