"""Synthetic lumbar spine MRI with exact truth: parametric anatomy, MR physics, grades measured on the geometry.

``make_study`` makes a study of one number; the ``write_*`` functions put it into files, in the layouts of data sets.
What is modelled, from which sources, and how grades follow from geometry, is written in docs/reference/phantom.md.
"""

from spinephantom.patient.pathology import Mode
from spinephantom.phantom import GENERATOR_VERSION, PhantomSeries, PhantomStack, PhantomStudy, StudyOptions
from spinephantom.synthesis import make_study
from spinephantom.write.dicom_files import write_dicom
from spinephantom.write.nifti_files import write_nifti
from spinephantom.write.rsna_files import write_rsna, write_rsna_tables
from spinephantom.write.spider_files import write_spider, write_spider_tables
from spinephantom.write.truth_files import truth_record, write_truth

__all__ = [
    "GENERATOR_VERSION",
    "Mode",
    "PhantomSeries",
    "PhantomStack",
    "PhantomStudy",
    "StudyOptions",
    "make_study",
    "truth_record",
    "write_dicom",
    "write_nifti",
    "write_rsna",
    "write_rsna_tables",
    "write_spider",
    "write_spider_tables",
    "write_truth",
]
