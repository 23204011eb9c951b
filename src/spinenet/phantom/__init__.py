"""Synthetic lumbar spine MRI with exact truth: parametric anatomy, MR physics, grades measured on the geometry."""

from spinenet.phantom.dicom import write_dicom
from spinenet.phantom.study import PhantomSeries, PhantomStudy, StudyOptions, make_study
from spinenet.phantom.writers import write_spider, write_tables

__all__ = ["PhantomSeries", "PhantomStudy", "StudyOptions", "make_study", "write_dicom", "write_spider", "write_tables"]
