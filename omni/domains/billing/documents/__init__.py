"""Invoices and credit notes as documents: what stands on them, as PDF for people and as Factur-X for machines."""
