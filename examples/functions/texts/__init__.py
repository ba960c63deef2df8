"""Texts beside the program; in the kitchen they are at another place than here."""

import pathlib


def folder():
    return pathlib.Path(__file__).parent
