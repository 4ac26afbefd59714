"""Segments: people who did, or did not, something in campaigns; combined, saved, listed.

The definition is stored; who belongs to it is asked when it is needed.
"""
