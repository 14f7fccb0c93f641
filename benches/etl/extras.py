"""What the benchmark measures besides the job itself."""
