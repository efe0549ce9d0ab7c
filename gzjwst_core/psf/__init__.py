"""Point-spread functions: from a file, from stars of the field, or from a formula."""
