"""The HTML report: values in, one page out."""
