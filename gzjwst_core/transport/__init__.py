"""HTTP and S3 clients: guarded ranges, timeouts, minimum rate, Retry-After, and what is kept out of logs."""
