"""How good a detector is, and why it errs: numpy only, whatever made the detections."""
