"""What users write: one pydantic model per kind, converted to the domain's nouns."""
