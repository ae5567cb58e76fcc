"""Data sets: records, readers and writers of four formats, the doctor, augmentation and the embedded scenes."""
