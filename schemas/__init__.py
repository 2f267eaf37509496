"""Every shape that crosses a boundary: Avro schemas, the catalogue of event codes, columns, codecs, errors."""
