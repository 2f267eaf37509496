"""The event catalogue: data files of event codes, and what is read from them."""

from schemas.catalogue.catalogue import Catalogue, shipped_files
from schemas.catalogue.entry import PERSONAL_FIELDS, RETENTION_CLASSES, CatalogueEntry
from schemas.catalogue.reference import reference_page
from schemas.catalogue.title import TEMPLATE_NAMES, Title

__all__ = [
    "PERSONAL_FIELDS",
    "RETENTION_CLASSES",
    "TEMPLATE_NAMES",
    "Catalogue",
    "CatalogueEntry",
    "Title",
    "reference_page",
    "shipped_files",
]
