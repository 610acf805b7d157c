"""The shared remote: where a team keeps what the pipeline made. No stage needs it.

The remote is a DVC remote, by name ``shared``: a folder, ssh://[user@]host[:port]/path, s3://bucket/prefix (with an
endpoint for stores other than Amazon's), or an http(s) address that is only read. Outputs go there by DVC, audio into a
folder of its own beside them.
"""
