"""The doctor: what is wrong with a data set, and a clean copy of it."""

from boxwright.data.doctor.diagnosis import Diagnosis, examine

__all__ = ["Diagnosis", "examine"]
