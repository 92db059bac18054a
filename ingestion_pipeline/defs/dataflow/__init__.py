"""Pipelines that people declare, as graphs of ops: an asset and a job each."""
