"""A strict Responses server with a real prompt-cache model: demo, tests, benchmarks."""
