"""Synthetic lumbar spine MRI with exact truth: parametric anatomy, MR physics, grades measured on the geometry."""

from spinephantom.synthesis import PhantomSeries, PhantomStudy, StudyOptions, make_study
from spinephantom.write.dicom_files import write_dicom
from spinephantom.write.spider_files import write_spider, write_tables

__all__ = ["PhantomSeries", "PhantomStudy", "StudyOptions", "make_study", "write_dicom", "write_spider", "write_tables"]
