"""The refusals of datasets."""

from __future__ import annotations

from omni.kit.errors import InvalidInput, NotFound, OmniError, TooLarge


def dataset_not_found(param: str = "dataset_id") -> NotFound:
    """Missing, or another tenant's: the two answer alike."""
    return NotFound("dataset_not_found", "There is no such dataset. List yours with GET /v1/datasets.", param=param)


def refusal(code: str, message: str) -> OmniError:
    """What the reading process says, as an error."""
    match code:
        case "dataset_too_large":
            return TooLarge("dataset_too_large", message, param="file_id")
        case "empty_dataset":
            return InvalidInput("empty_dataset", message, param="file_id")
        case "columns_invalid":
            return InvalidInput("columns_invalid", message, param="file_id")
        case "unsupported_column":
            return InvalidInput("unsupported_column", message, param="file_id")
        case "value_not_usable":
            return InvalidInput("value_not_usable", message, param="file_id")
        case _:
            return InvalidInput("broken_dataset", message, param="file_id")
