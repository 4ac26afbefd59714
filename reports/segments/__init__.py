"""Segments: people who did, or did not do, something in campaigns.

The definition is stored; its members are computed at each use.
"""
