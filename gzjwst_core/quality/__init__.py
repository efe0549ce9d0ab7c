"""Automatic image quality: controls that volunteers never see, and the verdict on every image and on the survey."""
