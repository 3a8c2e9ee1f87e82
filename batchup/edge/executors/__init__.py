"""Uploads and downloads made elsewhere: in other processes, or on a cluster of Ray or Dask.

The conversation with the service, the limits, the checkpoint and the key stay in this process.
"""
