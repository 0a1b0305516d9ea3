"""The compiled call loop against its Python twin."""
